"""Each source and each sink of `pipeline.reactive` as the schedules drive it, and what it promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from reactivex import Observable
from reactivex.disposable import Disposable

from pipeline import reactive
from pipeline.reactive import Flux, OverflowStrategy, Sinks
from pipeline.reactive.demand import UNBOUNDED

from .turns import Turns
from .world import Kind, World

RECORDS = 9
"""How many there are where a source is not told by the schedule when to end."""

PREFETCH = 4


class _Numbers:
    """An iterable of the world's numbers, which are taken when they are read."""

    def __init__(self, world: World, *, fails: bool) -> None:
        self.world = world
        self.fails = fails

    def __iter__(self) -> Iterator[int]:
        for _ in range(RECORDS):
            yield self.world.number(self.world.sources[0])
        if self.fails:
            raise RuntimeError("of the iterable")


def pulled(make: Callable[[World], Flux[Any]]) -> Kind:
    """Say what a source promises that makes its records when they are wanted."""
    return Kind(lambda world: lambda _: make(world), pulled=True)


def iterated(*, fails: bool, batch_size: int = 1) -> Kind:
    return pulled(lambda world: reactive.from_iterable(_Numbers(world, fails=fails), batch_size=batch_size))


def generated(*, fails: bool) -> Kind:
    def make(world: World) -> Flux[Any]:
        def generator(given: int, sink: Any) -> int:
            if fails and given == RECORDS:
                raise RuntimeError("of the generator")
            sink.next(world.number(world.sources[0]))
            if not fails and given == RECORDS:
                sink.complete()
            return given + 1

        return reactive.generate(lambda: 0, generator)

    return pulled(make)


def read_in_event_loop(world: World) -> Any:
    """Read the world's source as an async iterator, and make a stream of that again."""
    loop = Turns(world.scheduler)

    def operator(source: Flux[Any]) -> Flux[Any]:
        def connect(subscriber: Any) -> None:
            again = reactive.from_async_iterable(_Reading(source))
            loop.run_within(lambda: again.connect(subscriber))

        return Flux(connect)

    return operator


class _Reading:
    def __init__(self, source: Flux[Any]) -> None:
        self.source = source

    def __aiter__(self) -> Any:
        return reactive.to_async_iterator(self.source, PREFETCH)


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

SOURCES = {
    **{f"create {overflow}": lossy(overflow, from_create(overflow, reactive.create)) for overflow in KEPT},
    **{f"push {overflow}": lossy(overflow, from_create(overflow, reactive.push)) for overflow in KEPT},
    **{f"from_observable {overflow}": lossy(overflow, observed(overflow)) for overflow in KEPT},
    "from_iterable": iterated(fails=False),
    "from_iterable failing": iterated(fails=True),
    "from_iterable in batches": iterated(fails=False, batch_size=4),
    "from_iterable in batches failing": iterated(fails=True, batch_size=4),
    "generate": generated(fails=False),
    "generate failing": generated(fails=True),
    "from_async_iterable of to_async_iterator": Kind(read_in_event_loop, holds=PREFETCH),
}


def sunk(make: Callable[[], Any], *, holds: int | None = 0, whole: bool = True) -> Kind:
    """Let the world's source emit into a sink, unasked; what the sink does not take is dropped."""

    def operator(world: World) -> Any:
        source, sink = world.sources[0], make()
        source.connect(_Sinking(sink, world))
        source.request(UNBOUNDED)
        return lambda _: sink.flux

    return Kind(operator, holds=holds, loses=holds is not None, whole=whole)


class _Sinking:
    """To the world's source a subscriber: emits what comes into a sink."""

    def __init__(self, sink: Any, world: World) -> None:
        self.sink = sink
        self.world = world
        self.on_error = sink.try_emit_error
        self.on_completed = sink.try_emit_complete

    def on_subscribe(self, subscription: Any) -> None: ...

    def on_next(self, value: int) -> None:
        if not self.sink.try_emit_next(value).is_success:
            self.world.drop(value)

    def on_next_batch(self, values: Any) -> None:
        for value in values:
            self.on_next(value)


SINKS = {
    "Sinks.unicast": sunk(Sinks.unicast, holds=None),
    "Sinks.unicast bounded": sunk(lambda: Sinks.unicast(3), holds=3),
    "Sinks.unicast_on_backpressure_error": sunk(Sinks.unicast_on_backpressure_error),
    "Sinks.multicast": sunk(lambda: Sinks.multicast(3), holds=3),
    "Sinks.multicast_all_or_nothing": sunk(Sinks.multicast_all_or_nothing),
    "Sinks.multicast_best_effort": sunk(Sinks.multicast_best_effort),
    # What a sink that replays has kept, it keeps for others when a subscriber leaves.
    "Sinks.replay_all": sunk(Sinks.replay_all, holds=None, whole=False),
    "Sinks.replay_latest": sunk(Sinks.replay_latest, holds=None, whole=False),
    "Sinks.replay_limit": sunk(lambda: Sinks.replay_limit(3), holds=None, whole=False),
}
