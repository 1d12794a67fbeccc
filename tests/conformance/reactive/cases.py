"""What is held against the rules: each operator and each source, set up to pass records on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from operator import length_hint
from typing import Any

from reactivex import Observable, Subject
from reactivex.scheduler import ImmediateScheduler, VirtualTimeScheduler

from pipeline import reactive
from pipeline.reactive import BufferOverflowStrategy, Flux, OverflowStrategy, Sinks
from pipeline.testing import TestPublisher

from .paced import Build, Feed, paced

Operator = Callable[[Observable[Any]], Flux[Any]]

NOW = ImmediateScheduler()
NEVER = VirtualTimeScheduler()
"""Time does not advance: what is due later does not happen."""


@dataclass(frozen=True)
class Case:
    """An operator that emits one record for each it receives.

    Args:
        make: makes it.
        absorbs: whether it asks for everything, so that its source must be paced.
    """

    make: Callable[[], Operator]
    absorbs: bool = False


def _stream_of(value: Any) -> Flux[Any]:
    return reactive.from_iterable([value]).pipe(reactive.map(_same))


def _first_of_zip(source: Observable[Any]) -> Flux[Any]:
    return source.pipe(
        reactive.zip(reactive.from_iterable(range(OTHERS, 10**12)), prefetch=4), reactive.map(_first)
    )


def _only_of_buffer(source: Observable[Any]) -> Flux[Any]:
    return source.pipe(reactive.buffer_timeout(1, timedelta(hours=1), NEVER), reactive.map(_first))


def _never_again(errors: Flux[Exception]) -> Flux[Any]:
    return errors.pipe(reactive.map(_raise_it))


OTHERS = 10**6
"""The records of streams beside the one that a test feeds begin here."""

OPERATORS = {
    "buffer_timeout": Case(lambda: _only_of_buffer),
    "concat": Case(lambda: reactive.concat(reactive.from_iterable([]))),
    "filter": Case(lambda: reactive.filter(lambda value: True)),
    "flat_map": Case(lambda: reactive.flat_map(lambda value: [value], 4)),
    "flat_map of streams": Case(lambda: reactive.flat_map(_stream_of, 4, 2)),
    "limit_rate": Case(lambda: reactive.limit_rate(4)),
    "limit_rate low": Case(lambda: reactive.limit_rate(10, 2)),
    "map": Case(lambda: reactive.map(lambda value: value)),
    "map of map of filter": Case(
        lambda: _chain(reactive.map(_same), reactive.map(_same), reactive.filter(_same))
    ),
    "merge": Case(lambda: reactive.merge(reactive.from_iterable([]), prefetch=4)),
    "on_backpressure_buffer": Case(reactive.on_backpressure_buffer, absorbs=True),
    **{
        f"on_backpressure_buffer {strategy}": Case(
            lambda strategy=strategy: reactive.on_backpressure_buffer(4, strategy=strategy), absorbs=True
        )
        for strategy in BufferOverflowStrategy
    },
    "on_backpressure_buffer aging": Case(
        lambda: reactive.on_backpressure_buffer(4, ttl=timedelta(seconds=1), scheduler=NEVER), absorbs=True
    ),
    "on_backpressure_drop": Case(reactive.on_backpressure_drop, absorbs=True),
    "on_backpressure_error": Case(reactive.on_backpressure_error, absorbs=True),
    "on_backpressure_latest": Case(reactive.on_backpressure_latest, absorbs=True),
    "publish_on": Case(lambda: reactive.publish_on(NOW, 4)),
    "retry_when": Case(lambda: reactive.retry_when(_never_again)),
    "subscribe_on": Case(lambda: reactive.subscribe_on(NOW)),
    "take": Case(lambda: reactive.take(10**9)),
    "zip": Case(lambda: _first_of_zip),
}


@dataclass(frozen=True)
class Origin:
    """A source.

    Args:
        make: makes a stream of that many elements.
        fail: makes one that fails.
    """

    make: Callable[[int], Flux[int]]
    fail: Callable[[], Flux[int]]


def _generated(elements: int) -> Flux[int]:
    def generator(number: int, sink: Any) -> int:
        if number == elements:
            sink.complete()
        else:
            sink.next(number + 1)
        return number + 1

    return reactive.generate(lambda: 0, generator)


def _generated_failing() -> Flux[int]:
    return reactive.generate(_raise, lambda state, _: state)


def _pulled(overflow: OverflowStrategy) -> Origin:
    """Emit in answer to each request."""

    def make(elements: int) -> Flux[int]:
        def emitter(sink: Any) -> None:
            numbers = iter(range(1, elements + 1))

            def emit(n: int) -> None:
                for number in islice(numbers, n):
                    if sink.is_cancelled:
                        return
                    sink.next(number)
                if length_hint(numbers) == 0:
                    sink.complete()

            sink.on_request(emit)
            if not elements:
                sink.complete()

        return reactive.create(emitter, overflow)

    return Origin(make, lambda: reactive.create(_failing_emitter, overflow))


def _pushed(overflow: OverflowStrategy) -> Origin:
    """Emit of its own accord, paced."""

    def build() -> tuple[Flux[int], Callable[[], Feed]]:
        sinks: list[Any] = []
        return reactive.push(sinks.append, overflow), lambda: sinks[0]

    return Origin(lambda elements: paced(build, elements), lambda: reactive.push(_failing_emitter, overflow))


def _observed(overflow: OverflowStrategy) -> Origin:
    """Observe a plain Subject, paced."""

    def build() -> tuple[Flux[int], Callable[[], Feed]]:
        subject = Subject[int]()
        return reactive.from_observable(subject, overflow), lambda: _Observed(subject)

    return Origin(
        lambda elements: paced(build, elements),
        lambda: reactive.from_observable(_failed_subject(), overflow),
    )


SOURCES = {
    "from_iterable": Origin(
        lambda elements: reactive.from_iterable(range(1, elements + 1)),
        lambda: reactive.from_iterable(_Broken()),
    ),
    "from_iterable of an iterator": Origin(
        lambda elements: reactive.from_iterable(_Iterators(elements)),
        lambda: reactive.from_iterable(_Broken()),
    ),
    "from_iterable in batches": Origin(
        lambda elements: reactive.from_iterable(range(1, elements + 1), batch_size=7),
        lambda: reactive.from_iterable(_Broken(), batch_size=7),
    ),
    "generate": Origin(_generated, _generated_failing),
    **{f"create {overflow}": _pulled(overflow) for overflow in OverflowStrategy},
    **{f"push {overflow}": _pushed(overflow) for overflow in OverflowStrategy},
    **{f"from_observable {overflow}": _observed(overflow) for overflow in OverflowStrategy},
}


def _sink(make: Callable[[], Any]) -> Origin:
    """Feed a sink by hand, paced; each subscriber has a sink of its own."""

    def build() -> tuple[Flux[int], Callable[[], Feed]]:
        sink = make()
        return sink.flux, lambda: _Sunk(sink)

    def fail() -> Flux[int]:
        sink = make()
        sink.try_emit_error(RuntimeError("of the test"))
        return sink.flux

    return Origin(lambda elements: paced(build, elements), fail)


SINKS = {
    "unicast": _sink(Sinks.unicast),
    "unicast bounded": _sink(lambda: Sinks.unicast(4)),
    "unicast_on_backpressure_error": _sink(Sinks.unicast_on_backpressure_error),
    "multicast": _sink(lambda: Sinks.multicast(4)),
    "multicast_all_or_nothing": _sink(Sinks.multicast_all_or_nothing),
    "multicast_best_effort": _sink(Sinks.multicast_best_effort),
    "replay_all": _sink(Sinks.replay_all),
    "replay_latest": _sink(Sinks.replay_latest),
    "replay_limit": _sink(lambda: Sinks.replay_limit(4)),
}


class _Sunk:
    def __init__(self, sink: Any) -> None:
        self.next = sink.try_emit_next
        self.complete = sink.try_emit_complete


class _Observed:
    def __init__(self, subject: Subject[int]) -> None:
        self.next = subject.on_next
        self.complete = subject.on_completed


class _Broken:
    def __iter__(self) -> Any:
        raise RuntimeError("of the test")


class _Iterators:
    def __init__(self, elements: int) -> None:
        self.elements = elements

    def __iter__(self) -> Any:
        return (number + 1 for number in range(self.elements))


def _failing_emitter(_: Any) -> None:
    raise RuntimeError("of the test")


def _failed_subject() -> Subject[int]:
    subject = Subject[int]()
    subject.on_error(RuntimeError("of the test"))
    return subject


def _raise() -> Any:
    raise RuntimeError("of the test")


def _raise_it(error: Exception) -> Any:
    raise error


def _same(value: Any) -> Any:
    return value


def _first(values: Any) -> Any:
    return values[0]


def _chain(*operators: Operator) -> Operator:
    def chained(source: Observable[Any]) -> Flux[Any]:
        result: Any = source
        for operator in operators:
            result = operator(result)
        return result

    return chained


def absorbing(make: Callable[[], Operator]) -> Build:
    """Put an operator that requests everything downstream of a publisher that a test feeds."""

    def build() -> tuple[Flux[int], Callable[[], Feed]]:
        publisher = TestPublisher[int]()
        return make()(publisher), lambda: publisher

    return build
