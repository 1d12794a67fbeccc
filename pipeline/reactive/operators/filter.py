"""Keep the records a predicate accepts, without losing demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable

from pipeline.reactive.flux import Flux
from pipeline.reactive.operators.row import Step
from pipeline.reactive.operators.transform import transform

T = TypeVar("T")


def filter(predicate: Callable[[T], object]) -> Callable[[Observable[T]], Flux[T]]:  # noqa: A001 - the name in Rx
    """Keep the records for which `predicate` holds; upstream is asked to replace the others.

    Args:
        predicate: what it raises ends the stream.

    Example:
        >>> from pipeline.reactive import from_iterable
        >>> from_iterable([1, 2, 3]).pipe(filter(lambda n: n % 2)).subscribe(print).dispose()
        1
        3
    """
    return transform("filter", Step(predicate, sifts=True))
