"""flat_map: one record in, any number out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.operators.base import Step, Yields


@dataclass(frozen=True, slots=True)
class FlatMap(Step):
    """Replace each record by those of the iterable the function returns, taken lazily."""

    kind: ClassVar[str] = "flat_map"
    yields: ClassVar[Yields] = Yields.MANY
