"""window: the records of a key are gathered by time; the operator after it folds what they gather."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.operators.base import Function, OperatorSpec
from pipeline.windows.assigners import WindowAssigner


@dataclass(frozen=True, slots=True)
class AssignWindows(OperatorSpec):
    """Put each record into its windows; the operator downstream keeps their contents and does both.

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
