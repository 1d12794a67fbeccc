"""limit_rate: what upstream is asked for, whatever downstream asks for."""

from __future__ import annotations

import pytest

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import from_iterable, limit_rate
from pipeline.reactive.demand import UNBOUNDED
from pipeline.testing import AssertSubscriber, TestPublisher, Violation
from tests.unit.pipeline.reactive.conftest import Requests


def test_upstream_is_asked_for_a_part_at_a_time() -> None:
    """Reactor: FluxPublishOnTest.limitRate"""
    upstream = Requests(from_iterable(range(400)))
    downstream = Requests(upstream.pipe(limit_rate(40)))
    subscriber = AssertSubscriber[int](400)
    downstream.subscribe(subscriber)
    subscriber.assert_values(*range(400)).assert_complete()
    assert set(upstream.made) == {40, 30}
    assert 400 <= sum(upstream.made) < 440
    assert downstream.made == [400]


@pytest.mark.parametrize(
    ("low", "count", "requests"),
    [(8, 14, [10, 8]), (2, 14, [10, *[2] * 7])],
)
def test_the_low_tide_says_when_more_is_asked_for(low: int, count: int, requests: list[int]) -> None:
    """Reactor: FluxPublishOnTest.limitRateWithCloseLowTide, FluxPublishOnTest.limitRateWithVeryLowTide"""
    upstream = Requests(from_iterable(range(count)))
    subscriber = AssertSubscriber[int](count)
    upstream.pipe(limit_rate(10, low)).subscribe(subscriber)
    subscriber.assert_values(*range(count)).assert_complete()
    assert upstream.made[: len(requests)] == requests
    assert upstream.made[len(requests) :] in ([], [2])  # a source may have ended before the last one


def test_without_low_tide_all_are_consumed_first() -> None:
    """Reactor: FluxPublishOnTest.limitRateDisabledLowTide"""
    upstream = Requests(from_iterable(range(99)))
    subscriber = AssertSubscriber[int](100)
    upstream.pipe(limit_rate(10, 0)).subscribe(subscriber)
    subscriber.assert_values(*range(99)).assert_complete()
    assert set(upstream.made) == {10}
    assert sum(upstream.made) == 100


def test_what_is_not_wanted_yet_waits_here() -> None:
    upstream = Requests(from_iterable(range(100)))
    subscriber = AssertSubscriber[int](0)
    upstream.pipe(limit_rate(8)).subscribe(subscriber)
    assert upstream.made == [8]
    subscriber.request(5).assert_values(*range(5))
    assert upstream.made == [8]
    subscriber.request(1).assert_values(*range(6))
    assert upstream.made == [8, 6]


def test_an_unbounded_rate_is_not_a_limit() -> None:
    upstream = Requests(from_iterable(range(10)))
    subscriber = AssertSubscriber[int](10)
    upstream.pipe(limit_rate(UNBOUNDED)).subscribe(subscriber)
    subscriber.assert_value_count(10).assert_complete()
    assert upstream.made == [UNBOUNDED]


def test_a_source_that_emits_more_ends_the_stream() -> None:
    """What waits here stays bounded even then."""
    publisher = TestPublisher[int].create_noncompliant(Violation.REQUEST_OVERFLOW)
    subscriber = AssertSubscriber[int](0)
    publisher.pipe(limit_rate(4)).subscribe(subscriber)
    publisher.next(*range(5))
    subscriber.request(10).assert_values(0, 1, 2, 3).assert_error(BackpressureOverflow)
    publisher.assert_cancelled(1)


def test_batches_count_record_by_record() -> None:
    subscriber = AssertSubscriber[int](UNBOUNDED)
    from_iterable(range(1_000), batch_size=64).pipe(limit_rate(100)).subscribe(subscriber)
    subscriber.assert_values(*range(1_000)).assert_complete()


def test_the_high_tide_is_positive() -> None:
    with pytest.raises(ValueError, match="high > 0"):
        limit_rate(0)
