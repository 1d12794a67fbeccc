"""The rules of subscriptions, chapter 3: what `request` and `cancel` may do, and must not."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from typing import Final, TypeVar

from pipeline.reactive.demand import UNBOUNDED
from pipeline.testing.assert_subscriber import AssertSubscriber
from pipeline.testing.tck.publishing import ENDLESS, PublisherRules

T = TypeVar("T")

DEEP: Final = 2_000
"""Records asked for from within `on_next`: more than Python's stack would hold."""

EVENTUALLY: Final = 1_000
"""Records within which a publisher must notice that its subscriber has left."""


class SubscriptionRules(PublisherRules[T]):
    """What a publisher's subscription owes its subscriber."""

    def test_required_spec302_must_allow_synchronous_request_calls_from_on_next_and_on_subscribe(
        self,
    ) -> None:
        """Intent: a subscriber asks when it likes. Check for locks that `request` waits for."""
        subscriber = self.activate(6, n=1, on_next=_ask_for_another)
        subscriber.await_end(self.TIMEOUT).assert_value_count(6).assert_complete()

    def test_required_spec303_must_not_allow_unbounded_recursion(self) -> None:
        """Intent: the stack bounds no stream. Check that `request` only marks what a loop emits."""
        subscriber = self.activate(DEEP, n=1, on_next=_ask_for_another)
        subscriber.await_end(self.TIMEOUT).assert_value_count(DEEP).assert_complete()
        assert subscriber.depth <= self.RECURSION, f"on_next stood {subscriber.depth} deep in itself"

    def test_required_spec304_request_must_not_perform_heavy_computations(self) -> None:
        """Intent: the asking thread has its own work. Check what is read or waited for in `request`."""
        subscriber = self.activate(ENDLESS)
        self._at_once(lambda: subscriber.request(1), "request")

    def test_required_spec305_cancel_must_not_perform_heavy_computations(self) -> None:
        """Intent: to leave costs nothing. Check what `cancel` joins or closes."""
        subscriber = self.activate(ENDLESS, n=1).await_values(1, self.TIMEOUT)
        self._at_once(subscriber.cancel, "cancel")

    def test_required_spec306_after_a_cancel_requests_must_be_nops(self) -> None:
        """Intent: a late request does no harm. Check that `request` looks for the cancel first."""
        subscriber = self.activate(ENDLESS).cancel()
        for n in (1, 10, 0, -1):
            subscriber.request(n)
        self.settle(subscriber)
        subscriber.assert_no_values().assert_not_terminated()

    def test_required_spec307_after_a_cancel_cancels_must_be_nops(self) -> None:
        """Intent: clean-up code may cancel. Check that nothing is freed twice."""
        subscriber = self.activate(ENDLESS, n=1).await_values(1, self.TIMEOUT)
        subscriber.cancel().cancel().cancel()
        self.settle(subscriber)
        subscriber.assert_not_terminated()

    def test_required_spec309_request_zero_must_signal_an_error(self) -> None:
        """Intent: a mistake in arithmetic shows. Check that n is looked at, and told by `on_error`."""
        self._refuses(0)

    def test_required_spec309_request_negative_must_signal_an_error(self) -> None:
        """Intent: a mistake in arithmetic shows. Check that n is looked at, and told by `on_error`."""
        for n in (-1, -UNBOUNDED):
            self._refuses(n)

    def test_optional_spec309_the_error_of_a_negative_request_may_name_the_rule(self) -> None:
        """Intent: the reader knows what to look up. Check the message."""
        subscriber = self.activate(ENDLESS).request(-1).await_end(self.TIMEOUT)
        subscriber.assert_error(ValueError, "3.9")

    def test_required_spec309_a_refused_request_is_the_last_thing_that_counts(self) -> None:
        """Intent: nothing follows the error. Check that the stream is cancelled by it."""
        subscriber = self.activate(ENDLESS, n=1).await_values(1, self.TIMEOUT)
        subscriber.request(0).await_end(self.TIMEOUT).request(5)
        self.settle(subscriber)
        subscriber.assert_value_count(1).assert_error(ValueError)

    def test_required_spec312_cancel_must_make_the_publisher_eventually_stop_signalling(self) -> None:
        """Intent: who has left is left alone. Check that emission looks for a cancel between records."""
        subscriber = self.activate(ENDLESS, n=UNBOUNDED, on_next=_leave_at_the_third)
        subscriber.await_values(3, self.TIMEOUT)
        self.settle(subscriber)
        heard = len(subscriber.values)
        assert heard < EVENTUALLY, f"it continued for {heard} records"
        subscriber.request(100)
        self.settle(subscriber)
        subscriber.assert_value_count(heard).assert_not_terminated()

    def test_required_spec313_cancel_must_make_the_publisher_drop_its_references_to_the_subscriber(
        self,
    ) -> None:
        """Intent: a publisher outlives its subscribers. Check what keeps the one that cancelled."""
        publisher = self.publisher(ENDLESS)
        left = weakref.ref(self.attach(publisher, self.subscriber(1)).await_values(1, self.TIMEOUT).cancel())
        self._subscribed.clear()
        deadline = time.monotonic() + self.TIMEOUT.total_seconds()
        while gc.collect() >= 0 and left() is not None:  # a thread may be on its way out
            assert time.monotonic() < deadline, f"{publisher!r} keeps {left()!r}"

    def test_required_spec316_request_must_return_normally(self) -> None:
        """Intent: a failure is a signal. Check what `request` lets through."""
        subscriber = self.activate(3)
        for n in (0, -1, 1, UNBOUNDED):
            subscriber.request(n)
        subscriber.await_end(self.TIMEOUT).assert_error(ValueError)

    def test_required_spec317_must_support_a_pending_element_count_up_to_long_max_value(self) -> None:
        """Intent: 2⁶³ - 1 means all. Check that it is not counted down, nor allocated."""
        subscriber = self.activate(3).request(UNBOUNDED).await_end(self.TIMEOUT)
        subscriber.assert_value_count(3).assert_complete()

    def test_required_spec317_must_support_a_cumulative_pending_element_count_up_to_long_max_value(
        self,
    ) -> None:
        """Intent: sums saturate. Check that demand is added with a cap."""
        subscriber = self.activate(3).request(UNBOUNDED // 2).request(UNBOUNDED // 2).request(1)
        subscriber.await_end(self.TIMEOUT).assert_value_count(3).assert_complete()

    def test_required_spec317_must_not_signal_on_error_when_pending_above_long_max_value(self) -> None:
        """Intent: too much is as good as all. Check that no sum overflows into an error."""
        subscriber = self.activate(ENDLESS, n=1, on_next=_ask_for_all).await_values(10, self.TIMEOUT)
        self.settle(subscriber)
        subscriber.assert_not_terminated()

    def test_required_spec317_more_than_long_max_value_at_once_is_as_good_as_all(self) -> None:
        """Intent: Python's integers do not end at 2⁶³ - 1. Check that one request saturates as well."""
        subscriber = self.activate(3).request(2**63).await_end(self.TIMEOUT)
        subscriber.assert_value_count(3).assert_complete()

    def _refuses(self, n: int) -> None:
        subscriber = self.activate(ENDLESS).request(n).await_end(self.TIMEOUT)
        self.settle(subscriber)
        subscriber.assert_no_values().assert_error(ValueError)

    def _at_once(self, call: Callable[[], object], name: str) -> None:
        began = time.monotonic()
        call()
        took = time.monotonic() - began
        assert took < self.TIMEOUT.total_seconds(), f"{name} took {took:.1f} s"


def _ask_for_another(subscriber: AssertSubscriber[T], _: T) -> None:
    subscriber.request(1)


def _leave_at_the_third(subscriber: AssertSubscriber[T], _: T) -> None:
    if len(subscriber.values) == 3:
        subscriber.cancel()
    assert len(subscriber.values) < EVENTUALLY, "it continues after a cancel"  # or the test would not end


def _ask_for_all(subscriber: AssertSubscriber[T], _: T) -> None:
    if len(subscriber.values) < 10:
        subscriber.request(UNBOUNDED - 1)
    else:
        subscriber.cancel()
