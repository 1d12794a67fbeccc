"""The rules of publishers: 1.1 to 1.11; those of their subscriptions, chapter 3, are inherited."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

from pipeline.testing.assert_subscriber import AssertSubscriber
from pipeline.testing.tck.subscription import SubscriptionRules

T = TypeVar("T")

RACES = 5
"""How often a race is run: each finds a fault with some chance."""


class PublisherVerification(SubscriptionRules[T]):
    """What a publisher owes its subscribers."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Leave out the rules about several subscribers where a stream serves one: see `UNICAST`."""
        super().__init_subclass__(**options)
        if cls.UNICAST:
            for name in [name for name in dir(cls) if "spec111" in name]:
                setattr(cls, name, None)

    def test_required_create_publisher_1_must_produce_a_stream_of_exactly_1_element(self) -> None:
        """Intent: the factory does what the suite relies on. Check `create_publisher`."""
        self._ends_after(1)

    def test_required_create_publisher_3_must_produce_a_stream_of_exactly_3_elements(self) -> None:
        """Intent: the factory does what the suite relies on. Check `create_publisher`."""
        self._ends_after(3)

    def test_required_spec101_subscription_request_must_result_in_the_correct_number_of_elements(
        self,
    ) -> None:
        """Intent: never more than was asked for. Check that demand is counted down with each record."""
        subscriber = self.activate(5)
        self.settle(subscriber)
        subscriber.assert_no_values()
        for n, sum_so_far in ((1, 1), (1, 2), (2, 4)):
            subscriber.request(n).await_values(sum_so_far, self.TIMEOUT)
            self.settle(subscriber)
            subscriber.assert_value_count(sum_so_far)

    def test_required_spec102_may_signal_less_than_requested_and_terminate(self) -> None:
        """Intent: a stream may end with demand left over. Check that the end does not wait for more."""
        subscriber = self.activate(3, n=10).await_end(self.TIMEOUT)
        subscriber.assert_value_count(3).assert_complete()

    def test_stochastic_spec103_must_signal_on_methods_sequentially(self) -> None:
        """Intent: subscribers need no locks. Check that emission is serialised while threads ask."""
        for _ in range(RACES):
            subscriber = self.activate(90, n=5)
            threads = [
                threading.Thread(target=_request_one_by_one, args=(subscriber, 50), name=f"asking-{number}")
                for number in range(2)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            subscriber.await_end(self.TIMEOUT)
            subscriber.assert_value_count(90).assert_complete()

    def test_optional_spec104_must_signal_on_error_when_it_fails(self) -> None:
        """Intent: a failure is a signal, not an exception from `subscribe`. Check what raises there."""
        self.activate_failed().await_end(self.TIMEOUT).assert_no_values().assert_error()

    def test_required_spec105_must_signal_on_complete_when_a_finite_stream_terminates(self) -> None:
        """Intent: the end comes after the last record, once. Check what marks the last one."""
        subscriber = self.activate(3, n=2)
        self.settle(subscriber.await_values(2, self.TIMEOUT))
        subscriber.assert_not_terminated()
        subscriber.request(2).await_end(self.TIMEOUT)
        subscriber.assert_value_count(3).assert_complete()

    def test_optional_spec105_empty_stream_must_terminate_by_signalling_on_complete(self) -> None:
        """Intent: an empty stream ends too. Check for an end that only a record brings."""
        subscriber = self.activate(0, n=1).await_end(self.TIMEOUT)
        subscriber.assert_no_values().assert_complete()

    def test_required_spec106_must_consider_a_subscription_cancelled_after_on_complete(self) -> None:
        """Intent: demand after the end does nothing. Check the guard of `request` and `cancel`."""
        subscriber = self.activate(2, n=3).await_end(self.TIMEOUT)
        subscriber.request(10).cancel().request(0).cancel()
        self.settle(subscriber)
        subscriber.assert_value_count(2).assert_complete()

    def test_required_spec106_must_consider_a_subscription_cancelled_after_on_error(self) -> None:
        """Intent: demand after the error does nothing. Check the guard of `request` and `cancel`."""
        subscriber = self.activate_failed().await_end(self.TIMEOUT)
        subscriber.request(10).cancel().request(0).cancel()
        self.settle(subscriber)
        subscriber.assert_no_values().assert_error()

    def test_required_spec107_must_not_emit_further_signals_once_on_complete_was_signalled(self) -> None:
        """Intent: the end is the end. Check for a second completion when more is requested."""
        subscriber = self.activate(1, n=10).await_end(self.TIMEOUT).request(10)
        self.settle(subscriber)
        subscriber.assert_value_count(1).assert_complete()

    def test_required_spec107_must_not_emit_further_signals_once_on_error_was_signalled(self) -> None:
        """Intent: the end is the end. Check for records or a completion after the error."""
        subscriber = self.activate_failed(n=10).await_end(self.TIMEOUT).request(10)
        self.settle(subscriber)
        subscriber.assert_error()

    def test_required_spec109_must_issue_on_subscribe_before_anything_else(self) -> None:
        """Intent: who has no subscription cannot cancel. Check the order, for empty streams too."""
        for elements in (0, 1):
            subscriber = self.activate(elements, n=2).await_end(self.TIMEOUT)
            subscriber.assert_complete()

    def test_required_spec109_subscribe_must_raise_for_what_is_not_a_subscriber(self) -> None:
        """Intent: a mistake of the caller shows where it was made. Check the types at `subscribe`.

        In Rx `subscribe()` without an observer is allowed and means that the values are not looked at.
        """
        publisher: Any = self.publisher(1)
        try:
            publisher.subscribe(object())
        except TypeError:
            return
        raise AssertionError("expected a TypeError: an object() is not a subscriber")

    def test_required_spec109_a_rejected_subscriber_must_get_on_error_after_on_subscribe(self) -> None:
        """Intent: a refusal is a stream too. Check what a publisher does that cannot serve."""
        if not self.UNICAST:
            self.activate_failed().await_end(self.TIMEOUT).assert_error()
            return
        publisher = self.publisher(1)
        self.attach(publisher, self.subscriber())
        refused = self.attach(publisher, self.subscriber()).await_end(self.TIMEOUT)
        refused.assert_no_values().assert_error()

    # --- several subscribers -----------------------------------------------------------------------------

    def test_optional_spec111_may_support_multi_subscribe(self) -> None:
        """Intent: each subscriber has a subscription of its own. Check what they share."""
        first, second = self._two(1)
        self.settle(first, second)
        first.cancel()
        second.request(2).await_end(self.TIMEOUT).assert_value_count(1).assert_complete()

    def test_optional_spec111_registered_subscribers_must_receive_on_next_or_on_complete(self) -> None:
        """Intent: nobody is forgotten. Check that each one's demand reaches the source."""
        first, second = self._two(2)
        for subscriber in (first, second):
            subscriber.request(1)
        for subscriber in (first, second):
            subscriber.await_values(1, self.TIMEOUT).assert_protocol()

    def test_optional_spec111_multicast_must_produce_the_same_elements_when_requesting_one_by_one(
        self,
    ) -> None:
        """Intent: all see one stream. Check that each has a position of its own."""
        first, second = self._two(5)
        for count in range(1, 6):
            for subscriber in (first, second):
                subscriber.request(1)
            for subscriber in (first, second):
                subscriber.await_values(count, self.TIMEOUT)
        assert first.values == second.values

    def test_optional_spec111_multicast_must_produce_the_same_elements_when_requesting_many_upfront(
        self,
    ) -> None:
        """Intent: all see one stream. Check that a quick one does not use up the other's records."""
        first, second = self._two(3)
        first.request(4)
        second.request(1).request(3)
        for subscriber in (first, second):
            subscriber.await_values(3, self.TIMEOUT).assert_protocol()
        assert first.values == second.values

    def test_optional_spec111_multicast_many_upfront_must_complete_for_each(self) -> None:
        """Intent: the end is for all. Check that it is kept for slower subscribers."""
        both = self._two(3)
        for subscriber in both:
            subscriber.request(4)
        for subscriber in both:
            subscriber.await_end(self.TIMEOUT).assert_value_count(3).assert_complete()

    def _ends_after(self, elements: int) -> None:
        # A stream need not know that a record was its last one before another is asked for.
        subscriber = self.activate(elements, n=elements).await_values(elements, self.TIMEOUT)
        subscriber.request(1).await_end(self.TIMEOUT)
        subscriber.assert_value_count(elements).assert_complete()

    def _two(self, elements: int) -> tuple[AssertSubscriber[T], AssertSubscriber[T]]:
        publisher = self.publisher(elements)
        first, second = self.subscriber(), self.subscriber()
        return self.attach(publisher, first), self.attach(publisher, second)


def _request_one_by_one(subscriber: AssertSubscriber[Any], times: int) -> None:
    for _ in range(times):
        subscriber.request(1)
