"""reduce: fold the records of each key into one, and emit the result so far for every record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from pipeline.core.policy import ErrorPolicy
from pipeline.operators.base import Function, OperatorFactory
from pipeline.operators.failure import DROPPED, Failures, Survivors
from pipeline.operators.keyed_fold import ABSENT, KeyedFold, State
from pipeline.spi.operator import OperatorContext
from state.descriptors import ReducingStateDescriptor


@dataclass(frozen=True, slots=True)
class Reduce(OperatorFactory):
    """The running reduce of Flink: a key's first record is its first result.

    Args:
        function: takes the result so far and a record, returns the new result. It should not change
            them: the result so far has already been sent downstream.
        selector: the key of a record, that of the `KeyBy` before it.
        on_error: what happens to a record on which `function` or `selector` raises; the key's
            result stays as it was. Errors of `selector` name this operator, which calls it. A key that
            is None or of another kind than keys may be fails the job, whatever the policy.
        value_type: declares classes of the user's that occur in results (see `StateDescriptor`).
    """

    kind: ClassVar[str] = "reduce"

    function: Callable[[Any, Any], Any]
    selector: Function
    on_error: ErrorPolicy = ErrorPolicy()
    value_type: Any = None

    @property
    def functions(self) -> Sequence[Function]:
        return (self.function,)

    @property
    def keeps_state(self) -> bool:
        return True

    def create_operator(self) -> ReduceOperator:
        return ReduceOperator(self)


class ReduceOperator(KeyedFold):
    """The running part of `Reduce`."""

    def __init__(self, spec: Reduce) -> None:
        descriptor = ReducingStateDescriptor(name="reduced", value_type=spec.value_type, reduce=spec.function)
        super().__init__(spec.selector, spec.on_error, descriptor)
        self._function = spec.function

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._reducing = Failures(self._function, self._policy, ctx.uid, ctx)

    def _fold(
        self,
        key_of: Callable[[Any], Any],
        kind: type | None,
        state: State,
        values: Sequence[Any],
        results: list[Any],
        survivors: Survivors,
    ) -> type | None:
        reduce = self._function
        for value in values:
            try:
                key = key_of(value)
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                key = survivors.recover(self._keys.failures, error, partial(key_of, value), results)
                if key is DROPPED:
                    continue
            if type(key) is not kind:
                kind, state = self._state_for(key)
            known = state.get(key, ABSENT)
            try:
                result = value if known is ABSENT else reduce(known, value)
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                again = partial(reduce, known, value)
                result = survivors.recover(self._reducing, error, again, results)
                if result is DROPPED:
                    continue
            state[key] = result
            results.append(result)
        return kind
