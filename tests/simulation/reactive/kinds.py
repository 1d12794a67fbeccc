"""Each operator of `pipeline.reactive` as the schedules drive it: how it is made, and what it promises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from reactivex import Observable
from reactivex.disposable import Disposable

from pipeline import reactive
from pipeline.reactive import BufferOverflowStrategy, Flux, OverflowStrategy
from pipeline.reactive.demand import UNBOUNDED

from .world import Kind, World

PREFETCH = 4


def same(value: Any) -> Any:
    return value


def members(output: Any) -> Any:
    """Return the records in a list or a tuple; one that was lost comes by itself."""
    return output if isinstance(output, (list, tuple)) else (output,)


def with_others(operator: Callable[..., Any], streams: int, **options: Any) -> Callable[[World], Any]:
    """Make an operator over several sources of the world."""
    return lambda world: operator(*(Flux(source.connect) for source in world.sources[1:streams]), **options)


def from_create(overflow: OverflowStrategy, make: Callable[..., Any]) -> Callable[[World], Any]:
    """Make an operator of a source that is fed by hand: the world's source feeds it, unasked."""

    def operator(world: World) -> Any:
        source = world.sources[0]

        def emitter(sink: Any) -> None:
            source.connect(_Feeding(sink))
            source.request(UNBOUNDED)
            sink.on_dispose(source.cancel)

        return lambda _: make(emitter, overflow)

    return operator


def observed(overflow: OverflowStrategy) -> Callable[[World], Any]:
    """Let the world's source in as a plain Observable."""

    def operator(world: World) -> Any:
        source = world.sources[0]

        def subscribe(observer: Any, _: Any = None) -> Disposable:
            source.connect(_Observed(observer, world))
            source.request(UNBOUNDED)
            return Disposable(source.cancel)

        return lambda _: reactive.from_observable(Observable(subscribe), overflow)

    return operator


class _Feeding:
    """To the world's source a subscriber: puts what comes into a sink."""

    def __init__(self, sink: Any) -> None:
        self.on_next = sink.next
        self.on_next_batch = sink.next_batch
        self.on_error = sink.error
        self.on_completed = sink.complete

    def on_subscribe(self, subscription: Any) -> None: ...


class _Observed:
    """To the world's source a subscriber: hands what comes to a plain observer."""

    def __init__(self, observer: Any, world: World) -> None:
        self.world = world
        self.on_next = observer.on_next
        self.on_error = observer.on_error
        self.on_completed = observer.on_completed

    def on_next_batch(self, values: Any) -> None:
        for value in values:
            if self.world.sources[0].cancelled or self.world.consumer.ended:
                self.world.drop(value)
            else:
                self.on_next(value)

    def on_subscribe(self, subscription: Any) -> None: ...


def lossy(overflow: OverflowStrategy, make: Callable[[World], Any]) -> Kind:
    """Say what a source with an overflow strategy promises."""
    holds = {OverflowStrategy.BUFFER: None, OverflowStrategy.LATEST: 1}.get(overflow, 0)
    return Kind(
        make,
        holds=holds,
        loses=overflow is not OverflowStrategy.BUFFER,
        overflows=overflow is OverflowStrategy.ERROR,
    )


KEPT = [overflow for overflow in OverflowStrategy if overflow is not OverflowStrategy.IGNORE]
"""IGNORE sends more than is wanted, as it promises: there is nothing to hold it against."""

KINDS = {
    "map": Kind(lambda _: reactive.map(same)),
    "map of map": Kind(lambda _: lambda source: reactive.map(same)(reactive.map(same)(source))),
    "filter": Kind(lambda _: reactive.filter(same)),
    "take": Kind(lambda _: reactive.take(7), loses=True),
    "limit_rate": Kind(lambda _: reactive.limit_rate(PREFETCH), holds=PREFETCH),
    "limit_rate low": Kind(lambda _: reactive.limit_rate(PREFETCH, 1), holds=PREFETCH),
    "on_backpressure_buffer": Kind(lambda _: reactive.on_backpressure_buffer(), holds=None),
    "on_backpressure_buffer bounded": Kind(
        lambda world: reactive.on_backpressure_buffer(3, world.drop), holds=3, loses=True, overflows=True
    ),
    **{
        f"on_backpressure_buffer {strategy}": Kind(
            lambda world, strategy=strategy: reactive.on_backpressure_buffer(3, world.drop, strategy),
            holds=3,
            loses=True,
            overflows=strategy is BufferOverflowStrategy.ERROR,
        )
        for strategy in BufferOverflowStrategy
    },
    "on_backpressure_buffer aging": Kind(
        lambda world: reactive.on_backpressure_buffer(
            3, world.drop, ttl=timedelta(milliseconds=2), scheduler=world.scheduler
        ),
        holds=3,
        loses=True,
    ),
    "on_backpressure_drop": Kind(lambda world: reactive.on_backpressure_drop(world.drop), loses=True),
    "on_backpressure_latest": Kind(lambda _: reactive.on_backpressure_latest(), holds=1, loses=True),
    "on_backpressure_error": Kind(lambda _: reactive.on_backpressure_error(), loses=True, overflows=True),
    **{f"create {overflow}": lossy(overflow, from_create(overflow, reactive.create)) for overflow in KEPT},
    **{f"push {overflow}": lossy(overflow, from_create(overflow, reactive.push)) for overflow in KEPT},
    **{f"from_observable {overflow}": lossy(overflow, observed(overflow)) for overflow in KEPT},
    "publish_on": Kind(lambda world: reactive.publish_on(world.scheduler, PREFETCH), holds=PREFETCH),
    "subscribe_on": Kind(lambda world: reactive.subscribe_on(world.scheduler)),
    "buffer_timeout": Kind(
        lambda world: reactive.buffer_timeout(3, timedelta(milliseconds=2), world.scheduler),
        holds=None,
        records=members,
    ),
    "flat_map of lists": Kind(
        lambda _: reactive.flat_map(lambda n: [n], PREFETCH), holds=PREFETCH, ordered=False
    ),
    "flat_map of streams": Kind(
        lambda world: reactive.flat_map(
            lambda n: reactive.from_iterable([n]).pipe(reactive.subscribe_on(world.scheduler)), PREFETCH, 2
        ),
        holds=PREFETCH,
        ordered=False,
        whole=False,
    ),
    "merge": Kind(with_others(reactive.merge, 3, prefetch=PREFETCH), holds=3 * PREFETCH, streams=3),
    "concat": Kind(with_others(reactive.concat, 2), streams=2),
    "zip": Kind(
        with_others(reactive.zip, 2, prefetch=PREFETCH),
        holds=2 * PREFETCH,
        loses=True,
        records=members,
        streams=2,
    ),
    "retry_when": Kind(lambda _: reactive.retry_when(lambda errors: errors.pipe(reactive.map(same)))),
}
