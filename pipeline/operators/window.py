"""window: the records of a key are gathered by time, and each window gives one result per key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.core.durations import describe_duration
from pipeline.core.functions import function_ref
from pipeline.core.policy import ErrorPolicy
from pipeline.operators.base import Function, OperatorFactory, OperatorSpec, SideOutputSpec
from pipeline.operators.window_aggregate import WindowAggregateOperator
from pipeline.operators.window_fold import Windowing, WindowOperator
from pipeline.operators.window_reduce import WindowReduceOperator
from pipeline.windows.assigners import WindowAssigner
from state.descriptors import AggregateFunction


@dataclass(frozen=True, slots=True)
class AssignWindows(OperatorSpec):
    """Put each record into its windows; the operator behind it holds what they gather and does both.

    Args:
        assigner: which windows a record belongs to.
        selector: the key of a record, that of the `KeyBy` before it.
    """

    kind: ClassVar[str] = "window"
    reads_time: ClassVar[bool] = True
    runs_in_next: ClassVar[bool] = True

    assigner: WindowAssigner
    selector: Function

    @property
    def functions(self) -> Sequence[Function]:
        return ()

    def describe(self) -> str:
        return self.assigner.describe()


@dataclass(frozen=True, slots=True)
class WindowFold(OperatorFactory):
    """What the operators that fold windows have in common.

    Args:
        windowing: which windows, of which keys, for how long.
        window_function: makes the result from key, window and what was folded; None for that itself.
        on_error: what happens to the argument of a call that raises.
        value_type: declares classes of the user's that occur in what is folded (see `StateDescriptor`).
    """

    reads_time: ClassVar[bool] = True

    windowing: Windowing
    window_function: Callable[[Any, Any, Any], Any] | None = None
    on_error: ErrorPolicy = ErrorPolicy()
    value_type: Any = None

    @property
    def keeps_state(self) -> bool:
        return True

    @property
    def windows(self) -> str:
        return self.windowing.assigner.describe()

    @property
    def side_outputs(self) -> Sequence[SideOutputSpec]:
        late = self.windowing.late
        if late is None:
            return ()
        return (SideOutputSpec(late, "late records", "leave out side_output_late_data to count and drop"),)

    def describe(self) -> str:
        lateness, late = self.windowing.lateness_ms, self.windowing.late
        allowed = f"allowed lateness {describe_duration(lateness)}, " if lateness else ""
        return allowed + ("late records counted" if late is None else f"late records to {late.name!r}")


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
