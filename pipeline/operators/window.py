"""window: the records of a key are gathered by time, and each window gives one result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.core.functions import function_ref
from pipeline.core.policy import ErrorPolicy
from pipeline.operators.base import Function, OperatorSpec
from pipeline.windows.assigners import WindowAssigner
from state.descriptors import AggregateFunction


@dataclass(frozen=True, slots=True)
class AssignWindows(OperatorSpec):
    """Put each record into its windows; the operator behind it holds what they gather.

    Args:
        assigner: which windows a record belongs to.
        selector: the key of a record, that of the `KeyBy` before it.
    """

    kind: ClassVar[str] = "window"

    assigner: WindowAssigner
    selector: Function

    @property
    def functions(self) -> Sequence[Function]:
        return ()

    def describe(self) -> str:
        return self.assigner.describe()


@dataclass(frozen=True, slots=True)
class WindowReduce(OperatorSpec):
    """Fold the records of each window into one of their own type."""

    kind: ClassVar[str] = "reduce"

    function: Callable[[Any, Any], Any]
    on_error: ErrorPolicy = ErrorPolicy()

    @property
    def functions(self) -> Sequence[Function]:
        return (self.function,)

    @property
    def keeps_state(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class WindowAggregate(OperatorSpec):
    """Fold the records of each window into an accumulator, and that into a result."""

    kind: ClassVar[str] = "aggregate"

    aggregate: AggregateFunction[Any, Any, Any]
    on_error: ErrorPolicy = ErrorPolicy()

    @property
    def functions(self) -> Sequence[Function]:
        return (self.aggregate.add,)

    @property
    def label(self) -> str:
        return function_ref(type(self.aggregate)).name

    @property
    def keeps_state(self) -> bool:
        return True
