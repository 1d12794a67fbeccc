"""Let a plain Observable in, which knows no demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from reactivex import Observable
from reactivex.scheduler import CurrentThreadScheduler

from pipeline.reactive.flux import Flux
from pipeline.reactive.intake import OverflowStrategy
from pipeline.reactive.sources.create import FluxSink, create

T = TypeVar("T")


def from_observable(
    source: Observable[T], overflow: OverflowStrategy | str = OverflowStrategy.BUFFER
) -> Flux[T]:
    """Make a stream of a plain Observable, which emits whether anything is asked for or not.

    Args:
        source: subscribed for each subscriber; disposed of when that cancels.
        overflow: what is done with records beyond demand.

    Example:
        >>> import reactivex
        >>> from_observable(reactivex.of(1, 2), overflow="DROP").subscribe(print).dispose()
        1
        2
    """
    if isinstance(source, Flux):
        return source  # keeps demand already

    def emitter(sink: FluxSink[T]) -> None:
        on_next = cast("Callable[[T], None]", sink.next)

        def subscribe(*_: Any) -> None:
            subscription = source.subscribe(on_next, sink.error, sink.complete)
            sink.on_dispose(subscription.dispose)

        # Within an action of the scheduler on which synchronous Observables emit, `subscribe` returns
        # before they do: a cancel can then stop those that never end.
        CurrentThreadScheduler.singleton().schedule(subscribe)

    return create(emitter, overflow)
