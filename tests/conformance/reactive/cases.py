"""What is held against the rules: each operator of `pipeline.reactive`, set up to pass records on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reactivex import Observable

from pipeline import reactive
from pipeline.reactive import Flux

Operator = Callable[[Observable[Any]], Flux[Any]]


@dataclass(frozen=True)
class Case:
    """An operator that gives one record for each it takes.

    Args:
        make: makes it.
    """

    make: Callable[[], Operator]


OPERATORS = {
    "map": Case(lambda: reactive.map(lambda value: value)),
    "filter": Case(lambda: reactive.filter(lambda value: True)),
}
