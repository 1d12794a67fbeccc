"""Several streams side by side as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable

from pipeline.reactive.flux import Flux
from pipeline.reactive.inbox import SMALL_PREFETCH
from pipeline.reactive.operators.base import flux_of
from pipeline.reactive.operators.flat_map import flat_map
from pipeline.reactive.sources.iterable import from_iterable

T = TypeVar("T")


def merge(*others: Observable[T], prefetch: int = SMALL_PREFETCH) -> Callable[[Observable[T]], Flux[T]]:
    """Emit the records of the stream and of `others` as they come.

    The records of each keep their order. An error of any of them ends it all, at once.

    Args:
        others: are all subscribed at once.
        prefetch: records asked for ahead of each.

    Example:
        >>> from pipeline.reactive import from_iterable
        >>> from_iterable([1, 2]).pipe(merge(from_iterable([3]))).subscribe(print).dispose()
        1
        2
        3
    """

    def merged(source: Observable[T]) -> Flux[T]:
        streams = [flux_of("merge", stream) for stream in (source, *others)]
        return flat_map(_itself, concurrency=len(streams), prefetch=prefetch)(from_iterable(streams))

    return merged


def _itself(stream: Flux[T]) -> Flux[T]:
    return stream
