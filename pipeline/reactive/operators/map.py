"""Change each record by a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable

from pipeline.reactive.flux import Flux
from pipeline.reactive.operators.row import Step
from pipeline.reactive.operators.transform import transform

T = TypeVar("T")
R = TypeVar("R")


def map(function: Callable[[T], R]) -> Callable[[Observable[T]], Flux[R]]:  # noqa: A001 - the name in Rx
    """Change each record by `function`; demand passes through untouched.

    Args:
        function: what it raises ends the stream, and so does None (rule 2.13).

    Example:
        >>> from pipeline.reactive import from_iterable
        >>> from_iterable([1, 2]).pipe(map(lambda n: n * 10)).subscribe(print).dispose()
        10
        20
    """
    return transform("map", Step(function, sifts=False))
