"""One stream after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from reactivex import Observable

from pipeline.reactive.arbiter import Sequel
from pipeline.reactive.flux import Flux
from pipeline.reactive.operators.base import flux_of
from pipeline.reactive.subscriber import Subscriber

T = TypeVar("T")


def concat(*others: Observable[T]) -> Callable[[Observable[T]], Flux[T]]:
    """Continue with each of `others` once the stream before it has completed.

    A stream is subscribed when its turn comes, and asked for what the ones before it left over. An
    error ends it all.

    Example:
        >>> from pipeline.reactive import from_iterable
        >>> from_iterable([1]).pipe(concat(from_iterable([2]), from_iterable([3]))).subscribe(print).dispose()
        1
        2
        3
    """

    def concatenated(source: Observable[T]) -> Flux[T]:
        streams = [flux_of("concat", stream) for stream in (source, *others)]
        return Flux(lambda subscriber: _Concat(subscriber, streams).begin())

    return concatenated


class _Concat(Sequel[T]):
    def __init__(self, downstream: Subscriber[T], streams: Iterable[Flux[T]]) -> None:
        super().__init__(downstream)
        self._streams = iter(streams)

    def _follow(self) -> Flux[T] | None:
        return next(self._streams, None)

    def _ended(self, error: Exception | None) -> None:
        if error is None:
            self._go_on()
        else:
            self._finish(error)
