"""TestPublisher: keeps every rule it was not told to break, and knows what its subscribers did."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.errors import BackpressureOverflow
from pipeline.testing import AssertSubscriber, TestPublisher, Violation
from tests.unit.pipeline.reactive.conftest import FullProbe


class Raw(FullProbe):
    """Connects without the wrapper that would hide a violation."""

    def __init__(self, publisher: TestPublisher[Any], first: int = 0) -> None:
        super().__init__(first)
        publisher.connect(self)


class TestKeepingTheRules:
    def test_records_go_to_those_that_asked_for_them(self) -> None:
        publisher = TestPublisher[int]()
        first, second = AssertSubscriber[int](2), AssertSubscriber[int](3)
        publisher.subscribe(first)
        publisher.next(1)
        publisher.subscribe(second)
        publisher.next(2).complete()
        first.assert_values(1, 2).assert_complete()
        second.assert_values(2).assert_complete()

    def test_a_record_nobody_asked_for_ends_the_stream_with_an_error(self) -> None:
        """So a test of an operator that asks for too little fails by itself."""
        publisher = TestPublisher[int].create()
        subscriber = AssertSubscriber[int](1)
        publisher.subscribe(subscriber)
        publisher.next(1, 2, 3)
        subscriber.assert_values(1).assert_error(BackpressureOverflow)
        publisher.assert_request_overflow().assert_no_subscribers()

    def test_after_a_cancel_nothing_comes(self) -> None:
        publisher = TestPublisher[int]()
        raw = Raw(publisher, first=5)
        raw.subscription.cancel()
        raw.subscription.cancel()
        publisher.next(1).complete()
        assert raw.values == []
        assert raw.ends == 0
        publisher.assert_cancelled(1).assert_no_subscribers()

    def test_a_subscriber_after_the_end_gets_the_end(self) -> None:
        publisher = TestPublisher[int]().error(KeyError("gone"))
        subscriber = AssertSubscriber[int]()
        publisher.subscribe(subscriber)
        subscriber.assert_no_values().assert_error(KeyError)

    def test_none_is_refused(self) -> None:
        publisher = TestPublisher[Any]()
        with pytest.raises(TypeError, match=r"2\.13"):
            publisher.next(None)

    def test_an_invalid_request_ends_the_stream(self) -> None:
        """Rule 3.9."""
        publisher = TestPublisher[int]()
        subscriber = AssertSubscriber[int](0)
        publisher.subscribe(subscriber)
        subscriber.request(-1).assert_error(ValueError, "3.9")

    def test_batches_count_their_records(self) -> None:
        publisher = TestPublisher[int]()
        raw = Raw(publisher, first=3)
        publisher.next_batch([1, 2])
        assert raw.batches == [[1, 2]]
        assert publisher.requested == 1

    def test_a_cold_one_hands_everybody_everything_as_it_is_asked_for(self) -> None:
        publisher = TestPublisher[int].create_cold().emit(1, 2, 3)
        for first in (1, 3):
            subscriber = AssertSubscriber[int](first)
            publisher.subscribe(subscriber)
            subscriber.assert_value_count(first)
            subscriber.request(2).assert_values(1, 2, 3).assert_complete()
        publisher.assert_no_request_overflow()

    def test_a_cold_one_does_not_recurse(self) -> None:
        subscriber = AssertSubscriber[int](1, on_next=lambda me, _: me.request(1))
        TestPublisher[int].create_cold().emit(*range(5_000)).subscribe(subscriber)
        subscriber.assert_value_count(5_000).assert_complete()
        assert subscriber.depth == 1


class TestBreakingThem:
    def test_more_than_was_requested(self) -> None:
        publisher = TestPublisher[int].create_noncompliant(Violation.REQUEST_OVERFLOW)
        raw = Raw(publisher, first=1)
        publisher.next(1, 2, 3).complete()
        assert raw.values == [1, 2, 3]
        publisher.assert_request_overflow()

    def test_none(self) -> None:
        publisher = TestPublisher[Any].create_noncompliant(Violation.ALLOW_NULL)
        raw = Raw(publisher, first=1)
        publisher.next(None)
        assert raw.values == [None]

    def test_signals_after_the_end(self) -> None:
        publisher = TestPublisher[int].create_noncompliant(Violation.CLEANUP_ON_TERMINATE)
        raw = Raw(publisher, first=5)
        publisher.complete().next(1).complete().error(ValueError("late"))
        assert raw.values == [1]
        assert raw.completed == 2
        assert len(raw.errors) == 1

    def test_signals_after_a_cancel(self) -> None:
        publisher = TestPublisher[int].create_noncompliant(
            Violation.DEFER_CANCELLATION, Violation.REQUEST_OVERFLOW
        )
        raw = Raw(publisher, first=1)
        raw.subscription.cancel()
        publisher.next(1, 2).complete()
        assert raw.values == [1, 2]
        assert raw.completed == 1
        publisher.assert_cancelled()


class TestAssertions:
    def test_what_happened_is_known(self) -> None:
        publisher = TestPublisher[int]()
        publisher.assert_was_not_subscribed().assert_was_not_requested().assert_not_cancelled()
        raw = Raw(publisher, first=4)
        publisher.assert_was_subscribed().assert_subscribers(1).assert_was_requested()
        publisher.next(1).assert_min_requested(3).assert_max_requested(3)
        assert publisher.requests == [4]
        raw.subscription.cancel()
        publisher.assert_cancelled()

    @pytest.mark.parametrize(
        "name",
        [
            "assert_subscribers",
            "assert_was_subscribed",
            "assert_was_requested",
            "assert_cancelled",
            "assert_request_overflow",
        ],
    )
    def test_each_assertion_can_fail(self, name: str) -> None:
        with pytest.raises(AssertionError):
            getattr(TestPublisher[int](), name)()

    @pytest.mark.parametrize("name", ["no_subscribers", "was_not_subscribed", "was_not_requested"])
    def test_each_denial_can_fail(self, name: str) -> None:
        publisher = TestPublisher[int]()
        Raw(publisher, first=4)
        with pytest.raises(AssertionError):
            getattr(publisher, f"assert_{name}")()

    def test_limits_can_fail(self) -> None:
        publisher = TestPublisher[int]()
        Raw(publisher, first=4)
        with pytest.raises(AssertionError):
            publisher.assert_min_requested(5)
        with pytest.raises(AssertionError):
            publisher.assert_max_requested(3)

    def test_pytest_does_not_collect_it(self) -> None:
        assert TestPublisher.__test__ is False
