"""The rules of processors: an operator is a subscriber to its upstream and a publisher to its downstream."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from itertools import islice
from typing import Any, TypeVar

from reactivex import Observable

from pipeline.reactive import Flux
from pipeline.reactive.sources.iterable import from_iterable
from pipeline.reactive.subscriber import Subscriber
from pipeline.testing.assert_subscriber import AssertSubscriber
from pipeline.testing.publisher import TestPublisher
from pipeline.testing.tck.publisher import PublisherVerification
from pipeline.testing.tck.subscriber_whitebox import SubscriberWhiteboxVerification

T = TypeVar("T")

BATCH = 7
"""Records that travel together where the suite takes batches."""


class ProcessorVerification(PublisherVerification[T], SubscriberWhiteboxVerification[T]):
    """What an operator owes both its sides; for one that emits each record, changed or not."""

    @abstractmethod
    def create_operator(self) -> Callable[[Observable[T]], Flux[T]]:
        """Make the operator, set up so that one record produces one record."""

    # --- the publisher: the operator after a stream of elements ---------------------------------------

    def create_publisher(self, elements: int) -> Flux[T]:
        """Put the operator downstream of a stream that keeps the rules."""
        made = _Elements(self.create_element, elements)
        source = from_iterable(made, batch_size=BATCH if self.TAKES_BATCHES else 1)
        return self.create_operator()(source)

    def create_failed_publisher(self) -> Flux[T]:
        """Put the operator downstream of a stream that fails."""
        return self.create_operator()(TestPublisher[T]().error(RuntimeError("of the test")))

    # --- the subscriber: what the operator connects to its source ---------------------------------------

    def create_probed_subscriber(self, probe: AssertSubscriber[T]) -> Any:
        """Take the operator's own subscriber away from it; the probe is downstream."""
        connected: list[Subscriber[T]] = []
        self.subscribe(self.create_operator()(Flux[T](connected.append)), probe)
        return connected[0]

    # --- both ----------------------------------------------------------------------------------------

    def test_required_spec104_must_pass_an_error_on_to_its_subscribers(self) -> None:
        """Intent: an error goes through to the end of the chain. Check `on_error`, before any request."""
        subscriber, _ = self.subscribed()
        error = RuntimeError("of the test")
        subscriber.on_error(error)
        self.probe.await_end(self.TIMEOUT).assert_error()
        assert self.probe.errors == [error]

    def test_required_spec104_must_pass_on_an_error_after_records(self) -> None:
        """Intent: what came before the error is delivered if it was asked for. Check what it discards."""
        subscriber, upstream = self.subscribed()
        self.probe.request(3)
        upstream.await_requested(1, self.TIMEOUT)
        self.signal_next(subscriber, self.create_element(0))
        self.probe.await_values(1, self.TIMEOUT)
        subscriber.on_error(RuntimeError("of the test"))
        self.probe.await_end(self.TIMEOUT).assert_value_count(1).assert_error()

    def test_required_must_request_from_upstream_for_elements_that_have_been_requested_long_ago(
        self,
    ) -> None:
        """Intent: demand is not forgotten. Check that each record is followed by demand for the next."""
        subscriber, upstream = self.subscribed()
        self.probe.request(5)
        for index in range(5):
            upstream.await_requested(index + 1, self.TIMEOUT)
            self.signal_next(subscriber, self.create_element(index))
            self.probe.await_values(index + 1, self.TIMEOUT)
        self.probe.assert_value_count(5)

    def test_required_a_cancel_must_reach_upstream(self) -> None:
        """Intent: nobody works for nothing. Check that `cancel` is passed on."""
        _, upstream = self.asking()
        self.probe.cancel()
        upstream.await_cancel(self.TIMEOUT)


class _Elements:
    """That many elements, each time it is iterated."""

    def __init__(self, create: Callable[[int], Any], elements: int) -> None:
        self._create = create
        self._elements = elements

    def __iter__(self) -> Any:
        return islice(map(self._create, range(self._elements)), self._elements)

    def __len__(self) -> int:
        return self._elements
