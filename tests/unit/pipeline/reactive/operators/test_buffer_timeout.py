"""buffer_timeout: lists by number or by time, and no more asked for than fits into those that are wanted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from reactivex.internal.exceptions import DisposedException
from reactivex.scheduler import EventLoopScheduler, VirtualTimeScheduler

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import Worker, buffer_timeout, from_iterable, hooks, publish_on
from pipeline.testing import AssertSubscriber, TestPublisher, Violation
from tests.racing import switching_often

TENTH = timedelta(milliseconds=100)

Lists = AssertSubscriber[list[Any]]


class Fixture:
    """A source and a subscriber with a buffer between them, in virtual time."""

    def __init__(self, max_size: int = 5, request: int = 0, *violations: Violation) -> None:
        self.scheduler = VirtualTimeScheduler()
        self.source = TestPublisher[Any](*violations)
        self.subscriber = Lists(request)
        self.source.pipe(buffer_timeout(max_size, TENTH, self.scheduler)).subscribe(self.subscriber)

    def wait(self, tenths: float = 1) -> None:
        self.scheduler.advance_by(tenths / 10)


class TestDemand:
    def test_it_asks_for_what_fits_into_the_lists_that_are_wanted(self) -> None:
        """And forgets what a list that its time cut short would have taken.

        Reactor: FluxBufferTimeoutFairBackpressureTest.requestedFromUpstreamShouldNotExceedDownstreamDemand
        """
        buffer = Fixture()
        buffer.wait()
        assert buffer.source.requested == 0
        buffer.subscriber.request(2)
        assert buffer.source.requested == 10
        buffer.source.next("a")
        buffer.wait()
        buffer.subscriber.assert_values(["a"])
        assert buffer.source.requested == 9
        buffer.subscriber.request(1)
        assert buffer.source.requested == 10
        buffer.subscriber.request(1)
        assert buffer.source.requested == 15

    def test_time_that_is_up_while_no_list_is_wanted_is_not_an_error(self) -> None:
        """Reactor: FluxBufferTimeoutFairBackpressureTest.downstreamNoReplenishButTimeout"""
        buffer = Fixture(request=1)
        buffer.source.next(1, 2)
        buffer.wait()
        buffer.source.next(3)
        buffer.wait(5)
        buffer.source.next(4, 5)
        buffer.subscriber.assert_values([1, 2]).assert_not_terminated()
        assert buffer.source.requested == 0
        buffer.subscriber.request(1)
        buffer.subscriber.assert_values([1, 2], [3, 4, 5])

    def test_no_request_is_ever_negative(self) -> None:
        """Reactor: FluxBufferTimeoutFairBackpressureTest.bufferWithTimeoutAvoidingNegativeRequests"""
        buffer = Fixture()
        for number in range(9):
            buffer.subscriber.request(1)
            buffer.source.next(number)
            buffer.wait()
        buffer.subscriber.assert_values(*([number] for number in range(9))).assert_protocol()
        assert min(buffer.source.requests) > 0
        assert buffer.source.requested == 4

    def test_without_limit_downstream_a_few_lists_are_asked_for(self) -> None:
        buffer = Fixture(request=2**63 - 1)
        assert buffer.source.requests == [20]
        buffer.source.next_batch(range(5))
        assert buffer.source.requested == 20

    def test_a_source_that_sends_too_much_overflows(self) -> None:
        buffer = Fixture(2, 1, Violation.REQUEST_OVERFLOW)
        buffer.source.next_batch([1, 2, 3])
        buffer.subscriber.assert_error(BackpressureOverflow)
        buffer.source.assert_cancelled(1)


class TestLists:
    def test_a_full_list_does_not_wait(self) -> None:
        buffer = Fixture(3, 9)
        buffer.source.next(1, 2, 3, 4)
        buffer.subscriber.assert_values([1, 2, 3])
        buffer.wait()
        buffer.subscriber.assert_values([1, 2, 3], [4])

    def test_the_time_runs_from_the_first_record_of_the_list(self) -> None:
        buffer = Fixture(3, 9)
        buffer.source.next(1)
        buffer.wait(0.6)
        buffer.source.next(2, 3, 4)  # the time of 1 is of no account for 4
        buffer.wait(0.6)
        buffer.subscriber.assert_values([1, 2, 3])
        buffer.wait(0.5)
        buffer.subscriber.assert_values([1, 2, 3], [4])

    def test_the_last_list_comes_with_the_end(self) -> None:
        buffer = Fixture(3, 1)
        buffer.source.next(1, 2).complete()
        buffer.subscriber.assert_values([1, 2]).assert_complete()

    def test_the_end_waits_for_demand(self) -> None:
        buffer = Fixture(2, 1)
        buffer.source.next(1)
        buffer.wait()
        buffer.source.next(2).complete()
        buffer.subscriber.assert_values([1]).assert_not_terminated().request(1)
        buffer.subscriber.assert_values([1], [2]).assert_complete()

    def test_none_is_refused(self) -> None:
        buffer = Fixture(3, 1, Violation.ALLOW_NULL)
        with pytest.raises(TypeError, match=r"2\.13"):
            buffer.source.next(None)

    @pytest.mark.parametrize(("size", "time"), [(0, TENTH), (-1, TENTH), (1, timedelta())])
    def test_bounds_must_be_positive(self, size: int, time: timedelta) -> None:
        with pytest.raises(ValueError, match=r"max_size must be at least 1|timespan must be longer than 0"):
            buffer_timeout(size, time, VirtualTimeScheduler())


class TestDiscards:
    def test_on_cancel(self) -> None:
        """Reactor: FluxBufferTimeoutFairBackpressureTest.discardOnCancel"""
        buffer = Fixture(4, 1)
        discarded = self._discarded_by(buffer, buffer.subscriber.cancel)
        assert discarded == [1, 2, 3]
        buffer.source.assert_cancelled(1)
        buffer.scheduler.start()
        buffer.subscriber.assert_no_values().assert_not_terminated()

    def test_on_error(self) -> None:
        """Reactor: FluxBufferTimeoutFairBackpressureTest.discardOnError"""
        buffer = Fixture(4, 1)
        discarded = self._discarded_by(buffer, lambda: buffer.source.error(RuntimeError("boom")))
        assert discarded == [1, 2, 3]
        buffer.subscriber.assert_no_values().assert_error(RuntimeError, "boom")

    def test_on_a_timer_that_is_rejected(self) -> None:
        """Reactor: FluxBufferTimeoutFairBackpressureTest.discardOnTimerRejected"""
        discarded: list[Any] = []
        scheduler = EventLoopScheduler()
        scheduler.dispose()
        source, subscriber = TestPublisher[int](), Lists(1)
        source.pipe(buffer_timeout(4, TENTH, scheduler)).subscribe(subscriber)
        with hooks.listening(hooks.Hooks(discarded=discarded.append)):
            source.next(1)
        assert discarded == [1]
        subscriber.assert_no_values().assert_error(DisposedException)
        source.assert_cancelled(1)

    @staticmethod
    def _discarded_by(buffer: Fixture, act: Any) -> list[Any]:
        discarded: list[Any] = []
        buffer.source.next(1, 2, 3)
        with hooks.listening(hooks.Hooks(discarded=discarded.append)):
            act()
        return discarded


def test_time_and_number_race_without_losing_a_record() -> None:
    """A timer of a millisecond against lists of 16, fed from another thread, demand renewed from within."""
    subscriber = Lists(1, lambda one, _: one.request(1))
    with switching_often(), Worker("timer") as timer, Worker("source") as source:
        stream = from_iterable(range(10_000)).pipe(publish_on(source, 64))
        stream.pipe(buffer_timeout(16, timedelta(milliseconds=1), timer)).subscribe(subscriber)
        subscriber.await_end(timedelta(seconds=30))
    lists = subscriber.assert_complete().assert_protocol().values
    assert [number for values in lists for number in values] == list(range(10_000))
    assert all(0 < len(values) <= 16 for values in lists)
