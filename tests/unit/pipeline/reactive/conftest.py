"""A subscriber that records its signals, and producers whose threads are joined at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from pipeline.reactive.flux import Flux
from pipeline.reactive.hooks import Hooks, listening
from pipeline.reactive.operators.base import Operator
from pipeline.reactive.producer import ThreadProducer
from pipeline.reactive.subscriber import Subscriber

LONG = timedelta(seconds=30)
"""For what must end by itself: reached only if it does not."""


class Probe:
    """Takes single records, under a demand of its own.

    Args:
        first: what to request at once; 0 for nothing.
        then: called with the probe and each record.
    """

    def __init__(self, first: int = 0, then: Callable[[Any, Any], None] | None = None) -> None:
        self._first = first
        self._then = then
        self.subscription: Any = None
        self.values: list[Any] = []
        self.errors: list[Exception] = []
        self.completed = 0
        self.ended = threading.Event()

    def on_subscribe(self, subscription: Any) -> None:
        self.subscription = subscription
        if self._first:
            subscription.request(self._first)

    def on_next(self, value: Any) -> None:
        self.values.append(value)
        if self._then is not None:
            self._then(self, value)

    def on_error(self, error: Exception) -> None:
        self.errors.append(error)
        self.ended.set()

    def on_completed(self) -> None:
        self.completed += 1
        self.ended.set()

    @property
    def ends(self) -> int:
        return len(self.errors) + self.completed


class FullProbe(Probe):
    """Takes batches and control elements as well, in one list."""

    def __init__(self, first: int = 0, then: Callable[[Any, Any], None] | None = None) -> None:
        super().__init__(first, then)
        self.batches: list[Any] = []

    def on_next_batch(self, values: Any) -> None:
        self.batches.append(values)
        for value in values:
            self.on_next(value)

    def on_control(self, element: object) -> None:
        self.values.append(element)


Produce = Callable[..., ThreadProducer[Any]]


def numbers(count: int, batch: int = 1_000) -> Callable[[ThreadProducer[int]], None]:
    """Return a function that emits 0 to `count` - 1 as they are asked for."""

    def run(producer: ThreadProducer[int]) -> None:
        position = 0
        while position < count and (demand := producer.wait_demand()):
            end = min(count, position + min(demand, batch))
            producer.next_batch(list(range(position, end)))
            position = end

    return run


@pytest.fixture
def produce() -> Iterator[Produce]:
    """Make producers; each must end by the end of the test, and no thread may be left."""
    made: list[ThreadProducer[Any]] = []
    before = set(threading.enumerate())

    def make(run: Callable[[ThreadProducer[Any]], None], name: str = "test-producer") -> ThreadProducer[Any]:
        producer = ThreadProducer(run, name)
        made.append(producer)
        return producer

    yield make
    for producer in made:
        producer.cancel()
    assert all(producer.join(LONG) for producer in made)
    assert set(threading.enumerate()) <= before


class Requests(Flux[Any]):
    """Another stream, and what was asked for of it."""

    def __init__(self, source: Flux[Any]) -> None:
        super().__init__(lambda subscriber: source.connect(_Spy(subscriber, self.made)))
        self.made: list[int] = []


class _Spy(Operator[Any, Any]):
    def __init__(self, downstream: Subscriber[Any], made: list[int]) -> None:
        super().__init__(downstream)
        self._made = made

    def on_next(self, value: Any, /) -> None:
        self._downstream.on_next(value)

    def on_next_batch(self, values: Any) -> None:
        self._downstream.on_next_batch(values)

    def request(self, n: int) -> None:
        self._made.append(n)
        super().request(n)


class Lost:
    """What went nowhere: records and errors after the end, and records given up."""

    def __init__(self) -> None:
        self.dropped: list[Any] = []
        self.errors: list[Exception] = []
        self.discarded: list[Any] = []


@pytest.fixture
def lost() -> Iterator[Lost]:
    """Write down what nobody received during the test."""
    heard = Lost()
    with listening(Hooks(heard.dropped.append, heard.errors.append, heard.discarded.append)):
        yield heard
