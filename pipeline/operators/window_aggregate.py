"""aggregate on windows: the records of each window are folded into an accumulator, and that into a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

from pipeline.core.functions import function_ref
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch
from pipeline.operators.base import Function
from pipeline.operators.failure import DROPPED, Failures
from pipeline.operators.window_fold import WindowFold
from pipeline.operators.window_operator import State, Windowing, WindowOperator
from pipeline.spi.operator import OperatorContext
from pipeline.windows.assigners import Window
from state.descriptors import AggregateFunction

_ABSENT: Final[Any] = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAggregate(WindowFold):
    """Fold the records of each window into an accumulator, and that into a result."""

    kind: ClassVar[str] = "aggregate"

    aggregate: AggregateFunction[Any, Any, Any]

    @property
    def functions(self) -> Sequence[Function]:
        return (self.aggregate.add,)

    @property
    def label(self) -> str:
        return function_ref(type(self.aggregate)).name

    def create_operator(self) -> WindowOperator:
        return WindowAggregateOperator(
            self.windowing, self.window_function, self.on_error, self.value_type, self.aggregate
        )


class WindowAggregateOperator(WindowOperator):
    """Each key has an accumulator in each window, and its result is made when that fires."""

    def __init__(
        self,
        windowing: Windowing,
        window_function: Callable[[Any, Window, Any], Any] | None,
        policy: ErrorPolicy,
        value_type: Any,
        aggregate: AggregateFunction[Any, Any, Any],
    ) -> None:
        super().__init__(windowing, window_function, policy, value_type)
        self._aggregate = aggregate

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._adding = Failures(self._aggregate.add, self._policy, ctx.uid, ctx)
        self._concluding = Failures(self._aggregate.get_result, self._policy, ctx.uid, ctx)

    def _fold(self, state: State, keys: Sequence[Any], batch: Batch[Any]) -> int:
        add, create = self._aggregate.add, self._aggregate.create_accumulator
        left = iter(keys)
        dropped = 0
        for key, value in zip(left, batch.values, strict=True):
            try:
                accumulator = add(value, state[key] if key in state else create())
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                again = partial(self._add, value, state.get(key, _ABSENT))
                accumulator = self._recover(self._adding, error, again, batch, left)
                if accumulator is DROPPED:
                    dropped += 1
                    continue
            state[key] = accumulator
        return dropped

    def _add(self, value: Any, known: Any) -> Any:
        accumulator = self._aggregate.create_accumulator() if known is _ABSENT else known
        return self._aggregate.add(value, accumulator)

    def _conclude(self, keys: Sequence[Any], folded: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        get_result = self._aggregate.get_result
        if self._policy != ErrorPolicy():
            return self._call_each(get_result, self._concluding, keys, folded, zip(folded, strict=True))
        try:
            return keys, [get_result(accumulator) for accumulator in folded]
        except Exception as error:
            raise self._concluding.error(error, None) from error
