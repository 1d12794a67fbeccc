"""aggregate: fold the records of each key into an accumulator, and give its result for every record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from pipeline.core.functions import function_ref
from pipeline.core.policy import ErrorPolicy
from pipeline.operators.base import Function, OperatorFactory
from pipeline.operators.failure import DROPPED, Failures, Survivors
from pipeline.operators.keyed_fold import ABSENT, KeyedFold, State
from pipeline.spi.operator import OperatorContext
from state.descriptors import AggregateFunction, AggregatingStateDescriptor


@dataclass(frozen=True, slots=True)
class Aggregate(OperatorFactory):
    """An aggregate that emits its result after each record.

    Args:
        aggregate: what is computed.
        selector: the key of a record, that of the `KeyBy` before it.
        on_error: what happens to a record on which `selector`, `add` or `get_result` raises. A
            record that was added stays added if only `get_result` raises.
        value_type: declares classes of the user's that occur in accumulators (see `StateDescriptor`).
    """

    kind: ClassVar[str] = "aggregate"

    aggregate: AggregateFunction[Any, Any, Any]
    selector: Function
    on_error: ErrorPolicy = ErrorPolicy()
    value_type: Any = None

    @property
    def functions(self) -> Sequence[Function]:
        return (self.aggregate.add,)

    @property
    def label(self) -> str:
        return function_ref(type(self.aggregate)).name

    @property
    def keeps_state(self) -> bool:
        return True

    def create_operator(self) -> AggregateOperator:
        return AggregateOperator(self)


class AggregateOperator(KeyedFold):
    """The running part of `Aggregate`."""

    def __init__(self, spec: Aggregate) -> None:
        descriptor = AggregatingStateDescriptor(
            name="accumulator", value_type=spec.value_type, aggregate=spec.aggregate
        )
        super().__init__(spec.selector, spec.on_error, descriptor)
        self._aggregate = spec.aggregate

    def open(self, ctx: OperatorContext) -> None:
        super().open(ctx)
        self._adding = Failures(self._aggregate.add, self._policy, ctx.uid, ctx)
        self._concluding = Failures(self._aggregate.get_result, self._policy, ctx.uid, ctx)

    def _fold(
        self,
        key_of: Callable[[Any], Any],
        kind: type | None,
        state: State,
        values: Sequence[Any],
        results: list[Any],
        survivors: Survivors,
    ) -> type | None:
        add, create = self._aggregate.add, self._aggregate.create_accumulator
        get_result = self._aggregate.get_result
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
                accumulator = add(value, create() if known is ABSENT else known)
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                again = partial(self._add, value, known)
                accumulator = survivors.recover(self._adding, error, again, results)
                if accumulator is DROPPED:
                    continue
            state[key] = accumulator
            try:
                results.append(get_result(accumulator))
            except Exception as error:  # noqa: BLE001 - whatever the user's function raises
                again = partial(get_result, accumulator)
                result = survivors.recover(self._concluding, error, again, results)
                if result is not DROPPED:
                    results.append(result)
        return kind

    def _add(self, value: Any, known: Any) -> Any:
        accumulator = self._aggregate.create_accumulator() if known is ABSENT else known
        return self._aggregate.add(value, accumulator)
