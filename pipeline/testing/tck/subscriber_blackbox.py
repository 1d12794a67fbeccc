"""The rules of subscribers, chapter 2, as far as they show from outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, Generic, TypeVar

from pipeline.testing.tck.upstream import Upstream

T = TypeVar("T")


class SubscriberBlackboxVerification(ABC, Generic[T]):
    """What a subscriber owes its publisher; the suite is the publisher.

    Attributes:
        TIMEOUT: what must come, comes within it.
    """

    TIMEOUT: ClassVar = timedelta(seconds=5)

    @abstractmethod
    def create_subscriber(self) -> Any:
        """Make a subscriber that has not been subscribed yet."""

    @abstractmethod
    def create_element(self, index: int) -> T:
        """Make a record that the subscriber accepts."""

    def trigger_request(self, subscriber: Any) -> None:
        """Make the subscriber ask for something; nothing to do for one that does so by itself."""

    def signal_next(self, subscriber: Any, value: T) -> None:
        """Hand it one record; override for one that takes them otherwise."""
        subscriber.on_next(value)

    def subscribed(self) -> tuple[Any, Upstream]:
        """Return a subscriber and the subscription that it was given."""
        subscriber, upstream = self.create_subscriber(), Upstream()
        subscriber.on_subscribe(upstream)
        return subscriber, upstream

    def asking(self) -> tuple[Any, Upstream]:
        """Return a subscriber that has asked for something."""
        subscriber, upstream = self.subscribed()
        self.trigger_request(subscriber)
        return subscriber, upstream.await_requested(1, self.TIMEOUT)

    def test_required_exercise_happy_path(self) -> None:
        """Intent: a stream of records and its end are taken. Check the subscriber at large."""
        subscriber, upstream = self.asking()
        for index in range(min(upstream.requested, 3)):
            self.signal_next(subscriber, self.create_element(index))
        subscriber.on_completed()

    def test_required_spec201_must_signal_demand_via_subscription_request(self) -> None:
        """Intent: nothing comes unasked. Check that `on_subscribe` or its user leads to a request."""
        self.asking()

    def test_required_spec203_must_not_call_subscription_or_publisher_in_on_complete(self) -> None:
        """Intent: no cycles between the two. Check for a cancel or a request when the end comes."""
        subscriber, upstream = self.asking()
        with upstream.ending():
            subscriber.on_completed()
        assert not upstream.forbidden

    def test_required_spec203_must_not_call_subscription_or_publisher_in_on_error(self) -> None:
        """Intent: no cycles between the two. Check for a cancel or a request when the error comes."""
        subscriber, upstream = self.asking()
        with upstream.ending():
            subscriber.on_error(RuntimeError("of the test"))
        assert not upstream.forbidden

    def test_required_spec205_must_cancel_a_second_subscription(self) -> None:
        """Intent: one subscriber, one stream. Check that the one it has is kept."""
        subscriber, upstream = self.subscribed()
        second = Upstream()
        subscriber.on_subscribe(second)
        second.await_cancel(self.TIMEOUT)
        assert not upstream.cancels, "the first subscription was cancelled"
        assert not second.requested, "something was asked of the second"

    def test_required_spec209_must_be_prepared_for_on_complete_with_preceding_request(self) -> None:
        """Intent: a stream may be short. Check for records that the end waits for."""
        subscriber, _ = self.asking()
        subscriber.on_completed()

    def test_required_spec209_must_be_prepared_for_on_complete_without_preceding_request(self) -> None:
        """Intent: the end needs no demand. Check what only a request sets up."""
        subscriber, _ = self.subscribed()
        subscriber.on_completed()

    def test_required_spec210_must_be_prepared_for_on_error_with_preceding_request(self) -> None:
        """Intent: an error may come at any time. Check for records that it waits for."""
        subscriber, _ = self.asking()
        subscriber.on_error(RuntimeError("of the test"))

    def test_required_spec210_must_be_prepared_for_on_error_without_preceding_request(self) -> None:
        """Intent: an error needs no demand. Check what only a request sets up."""
        subscriber, _ = self.subscribed()
        subscriber.on_error(RuntimeError("of the test"))

    def test_required_spec213_on_subscribe_must_raise_for_none(self) -> None:
        """Intent: a mistake of the caller shows where it was made. Check the guard."""
        self._must_raise(lambda: self.create_subscriber().on_subscribe(None))

    def test_required_spec213_on_next_must_raise_for_none(self) -> None:
        """Intent: None is not a record. Check the guard."""
        subscriber, _ = self.asking()
        nothing: Any = None
        self._must_raise(lambda: self.signal_next(subscriber, nothing))

    def test_required_spec213_on_error_must_raise_for_none(self) -> None:
        """Intent: an error says what happened. Check the guard."""
        subscriber, _ = self.subscribed()
        self._must_raise(lambda: subscriber.on_error(None))

    def _must_raise(self, call: Callable[[], object]) -> None:
        try:
            call()
        except TypeError:
            return
        raise AssertionError("expected a TypeError for None")
