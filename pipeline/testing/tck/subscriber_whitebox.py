"""The rules of subscribers, chapter 2, for one whose demand the suite controls."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, TypeVar

from pipeline.testing.assert_subscriber import AssertBatchSubscriber, AssertSubscriber
from pipeline.testing.tck.subscriber_blackbox import SubscriberBlackboxVerification
from pipeline.testing.tck.upstream import Upstream

T = TypeVar("T")


class SubscriberWhiteboxVerification(SubscriberBlackboxVerification[T]):
    """What a subscriber owes its publisher, where more can be seen.

    The subscriber under test reports to a probe: it hands it a subscription through which the probe asks
    and cancels, and each signal once it has taken it. An operator does so by nature: the probe is what
    is downstream of it.
    """

    @abstractmethod
    def create_probed_subscriber(self, probe: AssertSubscriber[T]) -> Any:
        """Make a subscriber that reports to `probe`."""

    def create_subscriber(self) -> Any:
        """Make one with a new probe."""
        self.probe = AssertBatchSubscriber[T](0)
        return self.create_probed_subscriber(self.probe)

    def trigger_request(self, subscriber: Any) -> None:
        """Ask through the probe."""
        self.probe.await_subscription(self.TIMEOUT).request(1)

    def test_required_exercise_whitebox_happy_path(self) -> None:
        """Intent: each signal is passed to the probe. Check `create_probed_subscriber`."""
        subscriber, upstream = self._asking_for(2)
        for index in range(2):
            self.signal_next(subscriber, self.create_element(index))
        self.probe.await_values(2, self.TIMEOUT)
        subscriber.on_completed()
        self.probe.await_end(self.TIMEOUT).assert_complete()
        assert not upstream.cancels

    def test_required_spec208_must_be_prepared_for_on_next_after_having_cancelled(self) -> None:
        """Intent: a cancel takes its time. Check what is freed by it and used by `on_next`."""
        subscriber, upstream = self._asking_for(3)
        self.signal_next(subscriber, self.create_element(0))
        self.probe.await_values(1, self.TIMEOUT).cancel()
        upstream.await_cancel(self.TIMEOUT)
        self.signal_next(subscriber, self.create_element(1))
        subscriber.on_completed()
        self.probe.assert_protocol()

    def test_required_spec308_request_must_register_the_given_number_of_elements(self) -> None:
        """Intent: demand adds up. Check that a request before the last one is used up is not lost."""
        subscriber, upstream = self.subscribed()
        self.probe.await_subscription(self.TIMEOUT).request(1).request(2)
        for index in range(3):
            upstream.await_requested(index + 1, self.TIMEOUT)
            self.signal_next(subscriber, self.create_element(index))
        self.probe.await_values(3, self.TIMEOUT).assert_value_count(3)

    def _asking_for(self, n: int) -> tuple[Any, Upstream]:
        subscriber, upstream = self.subscribed()
        self.probe.await_subscription(self.TIMEOUT).request(n)
        return subscriber, upstream.await_requested(1, self.TIMEOUT)
