"""take: the first records, and no request for more than these."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from pipeline.reactive import from_iterable, take
from pipeline.reactive.demand import UNBOUNDED
from pipeline.testing import AssertSubscriber, TestPublisher, Violation
from tests.racing import race
from tests.unit.pipeline.reactive.conftest import Lost, Requests


def subscribed(source: Any, count: int, n: int = 0) -> AssertSubscriber[int]:
    subscriber = AssertSubscriber[int](n)
    source.pipe(take(count)).subscribe(subscriber)
    return subscriber


def test_a_request_beyond_the_count_is_cut_to_it() -> None:
    """Reactor: FluxLimitRequestTest.boundedDownStreamRequestOverflowsCap, FluxLimitRequestTest.noPrefetch"""
    source = Requests(from_iterable(range(100)))
    subscriber = subscribed(source, 10)
    assert source.made == []
    subscriber.request(4).assert_values(0, 1, 2, 3)
    subscriber.request(18).assert_values(*range(10)).assert_complete()
    assert source.made == [4, 6]


def test_requests_that_have_become_needless_stay_here() -> None:
    """Reactor: FluxLimitRequestTest.extraneousSmallRequestsNotPropagatedAsZero"""
    source = Requests(from_iterable(range(100)))
    subscriber = subscribed(source, 11)
    for n in (8, 2, 2, 2, 2):
        subscriber.request(n)
    subscriber.assert_value_count(11).assert_complete()
    assert source.made == [8, 2, 1]


def test_an_unbounded_request_becomes_the_count() -> None:
    """Reactor: FluxLimitRequestTest.unboundedDownstreamRequest"""
    source = Requests(from_iterable(range(100)))
    subscribed(source, 3, UNBOUNDED).assert_values(0, 1, 2).assert_complete()
    assert source.made == [3]


def test_with_none_to_take_upstream_is_not_even_subscribed() -> None:
    """Reactor: FluxLimitRequestTest.zeroDoesntEvenSubscribeToUpstream"""
    publisher = TestPublisher[int]()
    subscribed(publisher, 0).assert_no_values().assert_complete()
    publisher.assert_was_not_subscribed()


def test_racing_requests_add_up_to_the_count() -> None:
    """Reactor: FluxLimitRequestTest.raceRequest"""
    source = Requests(from_iterable(range(1_000)))
    subscriber = subscribed(source, 81)
    for round_number in range(11):
        race(*(partial(subscriber.subscription.request, n) for n in (10 if round_number % 2 == 0 else 8, 8)))
    assert sum(source.made) == 81
    assert len([n for n in source.made if n % 2]) == 1
    assert subscriber.values == list(range(81))
    assert subscriber.completions == 1


def test_what_a_bad_source_sends_beyond_the_count_is_dropped(lost: Lost) -> None:
    publisher = TestPublisher[int].create_noncompliant(
        Violation.CLEANUP_ON_TERMINATE, Violation.REQUEST_OVERFLOW, Violation.DEFER_CANCELLATION
    )
    subscriber = subscribed(publisher, 3, UNBOUNDED)
    publisher.next(1, 2, 3, 4).error(OSError("late"))
    subscriber.assert_values(1, 2, 3).assert_complete()
    assert lost.dropped == [4]
    assert [str(error) for error in lost.errors] == ["late"]


def test_a_subscriber_may_cancel_at_the_last_record() -> None:
    """It then gets no completion (2.8)."""
    subscriber = AssertSubscriber[int](5, lambda subscriber, value: value == 2 and subscriber.cancel())
    from_iterable(range(9)).pipe(take(3)).subscribe(subscriber)
    subscriber.assert_values(0, 1, 2).assert_not_terminated()


@pytest.mark.parametrize("batch_size", [2, 3, 100])
def test_a_batch_is_cut(batch_size: int) -> None:
    source = from_iterable(range(9), batch_size=batch_size)
    subscribed(source, 5, UNBOUNDED).assert_values(0, 1, 2, 3, 4).assert_complete()


def test_a_shorter_source_ends_the_stream_itself() -> None:
    subscribed(from_iterable([1]), 5, 9).assert_values(1).assert_complete()


def test_the_count_is_not_negative() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        take(-1)
