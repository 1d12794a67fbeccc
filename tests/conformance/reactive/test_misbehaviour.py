"""Every operator downstream of a publisher that breaks the rules: it stays safe and reports what is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive.hooks import Hooks, listening
from pipeline.testing import TestPublisher, Violation
from pipeline.testing.assert_subscriber import LONG, AssertBatchSubscriber
from pipeline.testing.tck.upstream import Upstream
from tests.conformance.reactive.cases import OPERATORS, OTHERS
from tests.racing import switching_often

HAND_ON = {"filter", "map", "take", "buffer_timeout", "concat", "retry_when", "subscribe_on"}
"""Hold nothing: unrequested records pass through them, as in Reactor, to an operator that can reject them."""

SERIALISE = {
    "flat_map",
    "limit_rate",
    "merge",
    "on_backpressure_buffer",
    "on_backpressure_drop",
    "on_backpressure_error",
    "on_backpressure_latest",
    "publish_on",
    "zip",
}
"""Have a queue with a drain loop, which makes one stream of what several threads signal."""

ALL = tuple(Violation)


@pytest.fixture(params=OPERATORS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def reported() -> Iterator[list[Any]]:
    """Collect what is dropped or discarded."""
    values: list[Any] = []
    errors: list[Exception] = []
    with listening(Hooks(values.append, errors.append, values.append)):
        yield values


def of_publisher(reported: list[Any]) -> list[Any]:
    """Leave out what zip has read ahead of its other stream."""
    return [value for value in reported if value < OTHERS]


def connected(name: str, first: int, *violations: Violation) -> tuple[Any, AssertBatchSubscriber[int]]:
    publisher = TestPublisher[int](*violations)
    subscriber = AssertBatchSubscriber[int](first)
    OPERATORS[name].make()(publisher).connect(subscriber)
    return publisher, subscriber


def test_signals_after_the_end_go_nowhere_and_are_reported(name: str, reported: list[Any]) -> None:
    """Rule 1.7 broken: records, a second completion and an error after the end."""
    publisher, subscriber = connected(name, 10, *ALL)
    publisher.next(1).complete()
    subscriber.assert_complete()
    publisher.next(2).next_batch([3, 4]).complete().error(RuntimeError("late"))
    subscriber.assert_values(1).assert_complete()
    assert sorted(of_publisher(reported)) == [2, 3, 4]


def test_signals_after_a_cancel_go_nowhere_and_are_reported(name: str, reported: list[Any]) -> None:
    """Rule 1.8 broken permanently: the cancel never reached the publisher."""
    publisher, subscriber = connected(name, 10, *ALL)
    publisher.next(1)
    subscriber.assert_values(1).cancel()
    publisher.next(2).next_batch([3, 4]).complete().error(RuntimeError("late"))
    subscriber.assert_values(1).assert_not_terminated()
    assert sorted(of_publisher(reported)) == [2, 3, 4]


def test_none_is_refused_where_it_comes_from(name: str) -> None:
    """Rule 2.13: the error goes to the publisher; downstream never sees it."""
    publisher, subscriber = connected(name, 10, Violation.ALLOW_NULL)
    with pytest.raises(TypeError, match=r"2\.13"):
        publisher.next(None)
    subscriber.assert_no_values()


def test_a_second_subscription_is_cancelled(name: str) -> None:
    """Rule 2.5: and the first continues."""
    publisher, second = TestPublisher[int](), Upstream()

    class Twice(TestPublisher[int]):
        def connect(self, subscriber: Any) -> None:
            publisher.connect(subscriber)
            subscriber.on_subscribe(second)

    subscriber = AssertBatchSubscriber[int](10)
    OPERATORS[name].make()(Twice()).connect(subscriber)
    publisher.next(1)
    subscriber.assert_values(1)
    assert second.cancels == 1
    assert second.requested == 0


def test_more_than_was_asked_for_is_bounded(name: str) -> None:
    """Rule 1.1 broken: what has a queue ends with an overflow or drops; it never hands too much on."""
    publisher, subscriber = connected(name, 1, Violation.REQUEST_OVERFLOW, Violation.DEFER_CANCELLATION)
    publisher.next(*range(1, 1_000))
    if name.partition(" ")[0] in HAND_ON:
        assert all(violation.startswith("rule 1.1") for violation in subscriber.violations)
        return
    subscriber.assert_values(1)
    subscriber.request(2_000)
    subscriber.assert_protocol()
    if subscriber.errors:
        subscriber.assert_error(BackpressureOverflow)


@pytest.mark.parametrize("name", [name for name in OPERATORS if name.partition(" ")[0] in SERIALISE])
@switching_often()
def test_threads_that_signal_at_once_do_not_get_in_each_others_way(name: str, reported: list[Any]) -> None:
    """Rule 1.3 broken: an operator with a queue emits one signal at a time and accounts for each record."""
    threads, records = 3, 60
    captured: list[Any] = []

    class Raw(TestPublisher[int]):
        def connect(self, subscriber: Any) -> None:
            captured.append(subscriber)
            subscriber.on_subscribe(Upstream())

    subscriber = AssertBatchSubscriber[int](threads * records)
    OPERATORS[name].make()(Raw()).connect(subscriber)

    def emit(start: int) -> None:
        for value in range(start, start + records):
            captured[0].on_next(value)

    racing = [
        threading.Thread(target=emit, args=(1 + index * records,), name=f"emitting-{index}")
        for index in range(threads)
    ]
    for thread in racing:
        thread.start()
    for thread in racing:
        thread.join(LONG.total_seconds())
        assert not thread.is_alive(), "a deadlock"
    subscriber.assert_protocol()
    everything = sorted(subscriber.values + of_publisher(reported))
    assert everything == list(range(1, threads * records + 1))
