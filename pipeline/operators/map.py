"""map: one record in, one record out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.operators.base import Step, Yields


@dataclass(frozen=True, slots=True)
class Map(Step):
    """Replace each record by what the function returns for it."""

    kind: ClassVar[str] = "map"
    yields: ClassVar[Yields] = Yields.ONE
