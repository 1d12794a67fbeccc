"""reduce on windows: the records of each window are folded into one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch
from pipeline.operators.base import Function
from pipeline.operators.failure import DROPPED, Failures
from pipeline.operators.window_fold import WindowFold
from pipeline.operators.window_operator import State, Windowing, WindowOperator
from pipeline.spi.operator import OperatorContext
from pipeline.windows.assigners import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowReduce(WindowFold):
    """Fold the records of each window into one of their own type."""

    kind: ClassVar[str] = "reduce"

    function: Callable[[Any, Any], Any]

    @property
    def functions(self) -> Sequence[Function]:
        return (self.function,)

    def create_operator(self) -> WindowOperator:
        return WindowReduceOperator(
            self.windowing, self.window_function, self.on_error, self.value_type, self.function
        )


class WindowReduceOperator(WindowOperator):
    """A key's first record in a window is what the next one is folded into."""

    def __init__(
        self,
        windowing: Windowing,
        window_function: Callable[[Any, Window, Any], Any] | None,
        policy: ErrorPolicy,
        value_type: Any,
        function: Callable[[Any, Any], Any],
    ) -> None:
        super().__init__(windowing, window_function, policy, value_type)
        self._function = function

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._reducing = Failures(self._function, self._policy, ctx.uid, ctx)

    def _fold(self, state: State, keys: Sequence[Any], batch: Batch[Any]) -> int:
        reduce = self._function
        left = iter(keys)
        dropped = 0
        for key, value in zip(left, batch.values, strict=True):
            if key in state:
                known = state[key]
                try:
                    result = reduce(known, value)
                except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                    again = partial(reduce, known, value)
                    result = self._recover(self._reducing, error, again, batch, left)
                    if result is DROPPED:
                        dropped += 1
                        continue
                state[key] = result
            else:
                state[key] = value
        return dropped
