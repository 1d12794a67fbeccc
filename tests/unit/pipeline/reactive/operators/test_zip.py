"""zip: one record of each stream at a time."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from pipeline.core.elements import END_OF_INPUT
from pipeline.reactive import Worker, from_iterable, hooks, publish_on
from pipeline.reactive import zip as zipped
from pipeline.testing import AssertSubscriber, TestPublisher
from tests.racing import switching_often


def test_tuples_come_as_they_are_asked_for() -> None:
    subscriber = AssertSubscriber[Any](0)
    from_iterable("abc").pipe(zipped(from_iterable(count()), from_iterable("xyz"))).subscribe(subscriber)
    for asked in (1, 2):
        assert len(subscriber.request(1).values) == asked
    subscriber.request(5)
    subscriber.assert_values(("a", 0, "x"), ("b", 1, "y"), ("c", 2, "z")).assert_complete()


def test_batches_of_other_sizes_are_cut_to_fit() -> None:
    left, right = TestPublisher[int](), TestPublisher[int]()
    subscriber = AssertSubscriber[Any]()
    left.pipe(zipped(right)).subscribe(subscriber)
    left.next_batch([1, 2, 3]).next(4, 5)
    right.next(1).control(END_OF_INPUT).next_batch([2, 3, 4, 5])
    subscriber.assert_values(*((n, n) for n in range(1, 6)))


def test_it_completes_when_one_has_no_more_to_give() -> None:
    discarded: list[Any] = []
    left, right = TestPublisher[int](), TestPublisher[int]()
    subscriber = AssertSubscriber[Any]()
    left.pipe(zipped(right)).subscribe(subscriber)
    with hooks.listening(hooks.Hooks(discarded=discarded.append)):
        left.next(1, 2)
        right.emit(1)
    subscriber.assert_values((1, 1)).assert_complete()
    left.assert_cancelled(1)
    assert discarded == [2]


def test_one_that_is_empty_leaves_the_others_alone() -> None:
    second = TestPublisher[int]()
    subscriber = AssertSubscriber[Any](0)
    from_iterable(list[int]()).pipe(zipped(second)).subscribe(subscriber)
    subscriber.assert_complete()
    second.assert_was_not_subscribed()


def test_an_error_does_not_wait() -> None:
    left, right = TestPublisher[int](), TestPublisher[int]()
    subscriber = AssertSubscriber[Any](0)
    left.pipe(zipped(right)).subscribe(subscriber)
    left.next(1)
    right.next(1).error(RuntimeError("boom"))
    subscriber.assert_no_values().assert_error(RuntimeError, "boom")
    left.assert_cancelled(1)


def test_a_prefetch_must_be_positive() -> None:
    with pytest.raises(ValueError, match="prefetch must be at least 1"):
        zipped(from_iterable("a"), prefetch=0)


def test_two_threads_racing_stay_in_step() -> None:
    subscriber = AssertSubscriber[Any](1, lambda one, _: one.request(1))
    with switching_often(), Worker("left") as left, Worker("right") as right:
        one = from_iterable(range(5_000)).pipe(publish_on(left))
        other = from_iterable(range(5_000), batch_size=9).pipe(publish_on(right))
        one.pipe(zipped(other)).subscribe(subscriber)
        subscriber.await_end(timedelta(seconds=30))
    assert subscriber.assert_complete().assert_protocol().values == [(n, n) for n in range(5_000)]
