"""union: several streams of one type become one, in the order in which their records arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipeline.operators.base import Function, OperatorSpec


@dataclass(frozen=True, slots=True)
class Union(OperatorSpec):
    """Merge the inputs; records of one input keep their order, those of different ones have none."""

    kind: ClassVar[str] = "union"
    keeps_records: ClassVar[bool] = True

    @property
    def functions(self) -> Sequence[Function]:
        return ()
