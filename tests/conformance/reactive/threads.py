"""Publishers with a thread for each subscriber, joined at the end of a test."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from weakref import WeakSet

from pipeline.core.elements import END_OF_INPUT
from pipeline.core.records import Batch
from pipeline.reactive import Flux
from pipeline.reactive.producer import ThreadProducer
from pipeline.reactive.subscriber import Subscriber
from pipeline.runtime.fused import FusedChain, fuse
from pipeline.testing import AssertSubscriber
from pipeline.testing.tck import PublisherVerification

MOST = 50
"""Records emitted together."""

LONG = timedelta(seconds=30)

Run = Callable[[ThreadProducer[int]], None]


class ThreadedPublishers(PublisherVerification[int]):
    """Makes streams out of functions that emit in a thread."""

    __test__ = False
    QUIET = timedelta(milliseconds=10)

    def setup_method(self) -> None:
        super().setup_method()
        self._producers = WeakSet[ThreadProducer[int]]()  # while it runs, its thread keeps it

    def teardown_method(self) -> None:
        super().teardown_method()
        for producer in list(self._producers):
            producer.cancel()
        assert all(producer.join(LONG) for producer in list(self._producers))

    def producer(self, run: Run) -> ThreadProducer[int]:
        producer = ThreadProducer(run, "conformance")
        self._producers.add(producer)
        return producer

    def flux(self, run: Run) -> Flux[int]:
        """Return a stream with a producer for each subscriber."""

        def connect(subscriber: Subscriber[int]) -> None:
            producer = self.producer(run)
            producer.flux.connect(subscriber)
            producer.start()

        return Flux(connect)

    def chained(self, run: Run, make_chain: Callable[[], Any]) -> Flux[int]:
        """Return a stream with a producer and a compiled chain downstream of it for each subscriber."""

        def connect(subscriber: Subscriber[int]) -> None:
            fused = fuse(make_chain(), subscriber)

            def drive(producer: ThreadProducer[int]) -> None:
                run(_Settling(producer, fused))  # pyright: ignore[reportArgumentType] - as far as `run` uses it
                producer.control(END_OF_INPUT)
                settle(producer, fused)

            producer = self.producer(drive)
            producer.connect(fused)
            producer.start()

        return Flux(connect)


class _Settling:
    """A producer that lets its chain finish before it is asked for demand, as the engine's threads do."""

    def __init__(self, producer: ThreadProducer[int], fused: FusedChain) -> None:
        self._producer = producer
        self._fused = fused

    def wait_demand(self) -> int:
        return self._producer.wait_demand() if settle(self._producer, self._fused) else 0

    def next_batch(self, values: list[int]) -> None:
        self._producer.next_batch(Batch(values))


def settle(producer: ThreadProducer[int], fused: FusedChain) -> bool:
    """Resume a suspended chain whenever that gets on; False after a cancel."""
    while fused.suspended:
        if not producer.wait_until(lambda: fused.resumable):
            return False
        fused.resume()
    return True


def numbers(elements: int) -> Run:
    """Return a function that emits 1 to `elements` as they are asked for."""

    def run(producer: ThreadProducer[int]) -> None:
        position = 0
        while position < elements and (demand := producer.wait_demand()):
            end = min(elements, position + min(demand, MOST))
            producer.next_batch(list(range(position + 1, end + 1)))
            position = end

    return run


def failing(_: ThreadProducer[int]) -> None:
    """Fail before the first record."""
    raise RuntimeError("of the test")


class Connected:
    """A suite whose subscribers are connected as the engine does it: batches, nothing in between."""

    TAKES_BATCHES = True

    def subscribe(self, publisher: Any, subscriber: AssertSubscriber[int]) -> None:
        publisher.connect(subscriber)
