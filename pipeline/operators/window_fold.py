"""What the descriptions of the operators that fold windows have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pipeline.core.durations import describe_duration
from pipeline.core.policy import ErrorPolicy
from pipeline.operators.base import OperatorFactory, SideOutputSpec
from pipeline.operators.window_operator import Windowing


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
