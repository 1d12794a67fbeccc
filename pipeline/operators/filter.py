"""filter: keep the records for which a predicate holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pipeline.operators.base import Step, Yields


@dataclass(frozen=True, slots=True)
class Filter(Step):
    """Keep a record if the function returns something true for it."""

    kind: ClassVar[str] = "filter"
    yields: ClassVar[Yields] = Yields.FILTER
    keeps_records: ClassVar[bool] = True
