"""Every source of `pipeline.reactive` against the rules of publishers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.reactive import Flux
from pipeline.reactive.subscriber import Subscriber
from pipeline.testing.tck import PublisherVerification
from tests.conformance.reactive.cases import SINKS, SOURCES, Origin
from tests.conformance.reactive.threads import Connected, Run, ThreadedPublishers, failing, numbers

ALL = {**SOURCES, **{f"Sinks.{name}": sink for name, sink in SINKS.items()}}


class Sources(PublisherVerification[int]):
    """The suite over a source that the subclass's tests choose."""

    __test__ = False
    TIMEOUT = timedelta(seconds=2)
    origin: Origin

    @pytest.fixture(autouse=True, params=ALL)
    def choose(self, request: pytest.FixtureRequest) -> None:
        self.origin = ALL[request.param]

    def create_publisher(self, elements: int) -> Flux[int]:
        return self.origin.make(elements)

    def create_failed_publisher(self) -> Flux[int]:
        return self.origin.fail()


class TestSourcesWithSingleRecords(Sources):
    __test__ = True


class TestSourcesWithBatches(Connected, Sources):
    __test__ = True


class Producers(ThreadedPublishers):
    """A thread for each subscriber."""

    def create_publisher(self, elements: int) -> Flux[int]:
        return self.flux(numbers(elements))

    def create_failed_publisher(self) -> Flux[int]:
        return self.flux(failing)


class TestProducersWithSingleRecords(Producers):
    __test__ = True


class TestProducersWithBatches(Connected, Producers):
    __test__ = True


class TestOneProducer(ThreadedPublishers):
    """One thread serves one subscriber and refuses all others."""

    __test__ = True
    UNICAST = True

    def create_publisher(self, elements: int) -> Flux[int]:
        return self.single(numbers(elements))

    def create_failed_publisher(self) -> Flux[int]:
        return self.single(failing)

    def single(self, run: Run) -> Flux[int]:
        producer = self.producer(run)
        unstarted = [producer]

        def connect(subscriber: Subscriber[int]) -> None:
            producer.flux.connect(subscriber)
            if unstarted:
                unstarted.pop().start()

        return Flux(connect)
