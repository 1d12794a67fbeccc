"""merge: several streams side by side."""

from __future__ import annotations

from datetime import timedelta

import pytest
import reactivex

from pipeline.core.errors import ConfigError
from pipeline.reactive import Worker, from_iterable, merge, publish_on
from pipeline.testing import AssertSubscriber, TestPublisher
from tests.racing import switching_often


def test_records_come_as_they_come() -> None:
    left, right = TestPublisher[str](), TestPublisher[str]()
    subscriber = AssertSubscriber[str]()
    left.pipe(merge(right)).subscribe(subscriber)
    left.next("a")
    right.next("b", "c")
    left.next("d").complete()
    subscriber.assert_not_terminated()
    right.complete()
    subscriber.assert_values("a", "b", "c", "d").assert_complete()


def test_each_is_asked_for_the_prefetch_and_downstream_gets_what_it_wants() -> None:
    left, right = TestPublisher[int](), TestPublisher[int]()
    subscriber = AssertSubscriber[int](3)
    left.pipe(merge(right, prefetch=4)).subscribe(subscriber)
    left.next(1, 2, 3, 4)
    right.next(5, 6, 7, 8)
    subscriber.assert_values(1, 2, 3)
    assert left.requests == [4, 3]
    assert right.requests == [4]
    subscriber.request(9)
    assert sorted(subscriber.values) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_an_error_of_one_stops_the_others() -> None:
    left, right = TestPublisher[int](), TestPublisher[int]()
    subscriber = AssertSubscriber[int]()
    left.pipe(merge(right)).subscribe(subscriber)
    right.error(RuntimeError("boom"))
    subscriber.assert_error(RuntimeError, "boom")
    left.assert_cancelled(1)


def test_a_plain_observable_is_refused() -> None:
    with pytest.raises(ConfigError, match="merge needs a Flux"):
        from_iterable([1]).pipe(merge(reactivex.of(2)))


@pytest.mark.parametrize("batch_size", [1, 20])
def test_three_threads_racing_lose_nothing(batch_size: int) -> None:
    def renew(subscriber: AssertSubscriber[int], _: int) -> None:
        if len(subscriber.values) % 7 == 0:
            subscriber.request(7)

    subscriber = AssertSubscriber[int](7, renew)
    with switching_often(), Worker("one") as one, Worker("two") as two, Worker("three") as three:
        streams = [
            from_iterable(range(first, first + 4_000), batch_size=batch_size).pipe(publish_on(worker))
            for first, worker in ((0, one), (10_000, two), (20_000, three))
        ]
        streams[0].pipe(merge(*streams[1:])).subscribe(subscriber)
        subscriber.await_end(timedelta(seconds=30))
    values = subscriber.assert_complete().assert_protocol().values
    for first in (0, 10_000, 20_000):
        assert [n for n in values if first <= n < first + 10_000] == list(range(first, first + 4_000))
