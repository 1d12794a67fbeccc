"""concat: one stream after the other, under one demand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import reactivex

from pipeline.core.errors import ConfigError
from pipeline.reactive import Flux, Worker, concat, from_iterable, publish_on
from pipeline.reactive.subscriber import Subscriber
from pipeline.testing import AssertSubscriber, TestPublisher, Violation
from tests.racing import switching_often
from tests.unit.pipeline.reactive.conftest import Lost


def test_the_next_one_is_asked_for_what_the_one_before_left_over() -> None:
    first, second = TestPublisher[int](), TestPublisher[int]()
    subscriber = AssertSubscriber[int](5)
    first.pipe(concat(second)).subscribe(subscriber)
    second.assert_was_not_subscribed()
    first.next(1).next_batch([2, 3])
    subscriber.request(2)
    first.complete()
    assert first.requests == [5, 2]
    assert second.requests == [4]
    second.emit(4, 5)
    subscriber.assert_values(1, 2, 3, 4, 5).assert_complete()


def test_demand_without_limit_stays_without_limit() -> None:
    second = TestPublisher[int]()
    from_iterable([1, 2]).pipe(concat(second)).subscribe(AssertSubscriber[int]())
    assert second.requests == [2**63 - 1]


def test_ten_thousand_empty_streams_need_no_stack() -> None:
    subscriber = AssertSubscriber[int](1)
    empty = from_iterable(list[int]())
    empty.pipe(concat(*[empty] * 10_000, from_iterable([1]))).subscribe(subscriber)
    subscriber.assert_values(1).assert_complete()


def test_an_error_ends_it_all() -> None:
    first, second = TestPublisher[int](), TestPublisher[int]()
    subscriber = AssertSubscriber[int]()
    first.pipe(concat(second)).subscribe(subscriber)
    first.next(1).error(RuntimeError("boom"))
    subscriber.assert_values(1).assert_error(RuntimeError, "boom")
    second.assert_was_not_subscribed()


def test_a_cancel_reaches_the_stream_there_is_and_the_others_are_never_subscribed() -> None:
    first, second, third = TestPublisher[int](), TestPublisher[int](), TestPublisher[int]()
    subscriber = AssertSubscriber[int]()
    first.pipe(concat(second, third)).subscribe(subscriber)
    first.complete()
    subscriber.cancel()
    first.assert_not_cancelled()
    second.assert_cancelled(1)
    third.assert_was_not_subscribed()


def test_a_request_that_breaks_rule_3_9_is_refused_by_whichever_stream_is_asked() -> None:
    first = TestPublisher[int]()
    subscriber = AssertSubscriber[int](0)
    first.pipe(concat(from_iterable([1]))).subscribe(subscriber)
    first.complete()
    subscriber.request(0)
    subscriber.assert_no_values().assert_error(ValueError, "3.9")


def test_a_stream_that_ends_twice_does_not_skip_one() -> None:
    first = TestPublisher[int].create_noncompliant(Violation.CLEANUP_ON_TERMINATE)
    second, third = TestPublisher[int](), TestPublisher[int]()
    subscriber = AssertSubscriber[int]()
    first.pipe(concat(second, third)).subscribe(subscriber)
    first.complete().complete()
    third.assert_was_not_subscribed()
    second.emit(2)
    third.emit(3)
    subscriber.assert_values(2, 3).assert_complete()


def test_a_plain_observable_is_refused() -> None:
    with pytest.raises(ConfigError, match="concat needs a Flux"):
        from_iterable([1]).pipe(concat(reactivex.of(2)))


def test_requests_that_meet_a_change_of_streams_are_counted_once() -> None:
    """Streams of another thread; one record is asked for with each that comes."""

    def renew(one: AssertSubscriber[Any], _: Any) -> None:
        one.request(1)

    with switching_often(), Worker("source") as scheduler:
        streams = [from_iterable(range(n * 50, n * 50 + 50)).pipe(publish_on(scheduler)) for n in range(60)]
        subscriber = AssertSubscriber[Any](3, renew)
        streams[0].pipe(concat(*streams[1:])).subscribe(subscriber)
        subscriber.await_end(timedelta(seconds=30))
    assert subscriber.assert_complete().assert_protocol().values == list(range(3_000))


def test_a_request_that_breaks_the_rules_between_two_streams_is_refused_by_the_next() -> None:
    """Rule 3.9: it must not be forgotten because nobody was there to refuse it."""
    first, second = TestPublisher[int](), TestPublisher[int]()
    held: list[Subscriber[int]] = []
    subscriber = AssertSubscriber[int](0)
    first.pipe(concat(Flux(held.append))).subscribe(subscriber)
    first.complete()
    subscriber.request(-1)
    subscriber.assert_not_terminated()
    second.connect(held[0])
    assert second.requests == [-1]


def test_an_error_after_the_end_of_a_stream_is_reported_as_dropped(lost: Lost) -> None:
    """The next stream continues: it is not the place of an error of the one before."""
    first, second = TestPublisher[int](Violation.CLEANUP_ON_TERMINATE), TestPublisher[int]()
    subscriber = AssertSubscriber[int]()
    first.pipe(concat(second)).subscribe(subscriber)
    first.complete().error(OSError("late"))
    second.emit(1)
    subscriber.assert_values(1).assert_complete()
    assert [str(error) for error in lost.errors] == ["late"]
