"""publish_on: a bounded hand-over to whatever thread the scheduler has."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from reactivex.internal.exceptions import DisposedException
from reactivex.scheduler import (
    EventLoopScheduler,
    ImmediateScheduler,
    NewThreadScheduler,
    VirtualTimeScheduler,
)

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import Worker, from_iterable, hooks, publish_on
from pipeline.reactive import map as mapped
from pipeline.testing import AssertSubscriber, StepVerifier, TestPublisher, Violation
from tests.racing import switching_often

LONG = timedelta(seconds=30)


def disposed() -> EventLoopScheduler:
    """Return a scheduler that refuses all work."""
    scheduler = EventLoopScheduler()
    scheduler.dispose()
    return scheduler


class TestDemand:
    def test_first_request_is_the_prefetch(self) -> None:
        """Reactor: FluxPublishOnTest.prefetchAmountOnly"""
        source = TestPublisher[int]()
        source.pipe(publish_on(ImmediateScheduler())).subscribe(AssertSubscriber[int](0))
        assert source.requests == [256]

    @pytest.mark.parametrize(("prefetch", "refill"), [(40, 30), (256, 192), (4, 3), (1, 1)])
    def test_three_quarters_are_asked_for_at_a_time(self, prefetch: int, refill: int) -> None:
        source = TestPublisher[int]()
        source.pipe(publish_on(ImmediateScheduler(), prefetch)).subscribe(AssertSubscriber[int]())
        source.next(*range(prefetch + refill))
        assert source.requests[:3] == [prefetch, refill, refill]

    @pytest.mark.parametrize("prefetch", [0, -1])
    def test_a_prefetch_must_be_positive(self, prefetch: int) -> None:
        """Reactor: FluxPublishOnTest.failPrefetch"""
        with pytest.raises(ValueError, match="prefetch must be at least 1"):
            publish_on(ImmediateScheduler(), prefetch)

    @pytest.mark.parametrize("batch_size", [1, 7])
    def test_downstream_gets_as_much_as_it_asks_for(self, batch_size: int) -> None:
        """Reactor: FluxPublishOnTest.normalBackpressured"""
        subscriber = AssertSubscriber[int](0)
        with Worker("test-worker") as scheduler:
            from_iterable(range(1_000), batch_size=batch_size).pipe(publish_on(scheduler)).subscribe(
                subscriber
            )
            for requested, expected in ((500, 500), (200, 700), (1_000, 1_000)):
                subscriber.request(requested).await_values(expected)
            subscriber.await_end()
        assert subscriber.assert_complete().values == list(range(1_000))
        subscriber.assert_protocol()

    def test_exactly_what_there_is_may_be_asked_for(self) -> None:
        """Reactor: FluxPublishOnTest.classicJustBackpressured"""
        subscriber = AssertSubscriber[int](0)
        scheduler = VirtualTimeScheduler()
        from_iterable([1]).pipe(publish_on(scheduler)).subscribe(subscriber)
        scheduler.start()
        subscriber.assert_no_values().assert_not_terminated()
        subscriber.request(500)
        scheduler.start()
        subscriber.assert_values(1).assert_complete()

    def test_a_queue_holds_no_more_than_the_prefetch(self) -> None:
        """Reactor: FluxPublishOnTest.boundedQueue"""
        subscriber = AssertSubscriber[int]()
        outstanding = 0
        most = 0

        def emitted(value: int) -> int:
            nonlocal outstanding, most
            outstanding += 1
            most = max(most, outstanding)
            return value

        def taken(_: AssertSubscriber[int], __: int) -> None:
            nonlocal outstanding
            outstanding -= 1

        subscriber = AssertSubscriber[int](on_next=taken)
        scheduler = VirtualTimeScheduler()
        stream = from_iterable(range(100_000)).pipe(mapped(emitted), publish_on(scheduler, 128))
        stream.subscribe(subscriber)
        scheduler.start()
        assert subscriber.assert_complete().values == list(range(100_000))
        assert most == 128


class TestEnds:
    def test_an_error_comes_after_the_records_before_it(self) -> None:
        scheduler = VirtualTimeScheduler()
        source = TestPublisher[int]()
        subscriber = AssertSubscriber[int](2)
        source.pipe(publish_on(scheduler)).subscribe(subscriber)
        source.next(1, 2, 3).error(RuntimeError("boom"))
        scheduler.start()
        subscriber.assert_values(1, 2).assert_not_terminated().request(1)
        scheduler.start()
        subscriber.assert_values(1, 2, 3).assert_error(RuntimeError, "boom")

    def test_what_waits_at_a_cancel_is_discarded(self) -> None:
        discarded: list[Any] = []
        scheduler = VirtualTimeScheduler()
        source = TestPublisher[int]()
        subscriber = AssertSubscriber[int](1)
        source.pipe(publish_on(scheduler)).subscribe(subscriber)
        source.next(1, 2).next_batch([3, 4])
        scheduler.start()
        with hooks.listening(hooks.Hooks(discarded=discarded.append)):
            subscriber.cancel()
            scheduler.start()
        source.assert_cancelled(1)
        subscriber.assert_values(1)
        assert discarded == [2, 3, 4]

    def test_a_request_that_breaks_rule_3_9_ends_the_stream(self) -> None:
        source = TestPublisher[int]()
        subscriber = AssertSubscriber[int](0)
        source.pipe(publish_on(ImmediateScheduler())).subscribe(subscriber)
        subscriber.request(0)
        subscriber.assert_error(ValueError, "3.9")
        source.assert_cancelled(1)

    def test_a_publisher_that_sends_too_much_overflows(self) -> None:
        """The bound holds if rule 1.1 is broken, and what was requested is delivered."""
        source = TestPublisher[int].create_noncompliant(Violation.REQUEST_OVERFLOW)
        subscriber = AssertSubscriber[int](0)
        source.pipe(publish_on(ImmediateScheduler(), 4)).subscribe(subscriber)
        source.next(1, 2, 3, 4, 5)
        source.assert_cancelled(1)
        subscriber.assert_not_terminated().request(10)
        subscriber.assert_values(1, 2, 3, 4).assert_error(BackpressureOverflow)

    def test_none_is_refused(self) -> None:
        source = TestPublisher[Any].create_noncompliant(Violation.ALLOW_NULL)
        source.pipe(publish_on(ImmediateScheduler())).subscribe(AssertSubscriber[Any]())
        with pytest.raises(TypeError, match=r"2\.13"):
            source.next(None)


class TestRejections:
    def test_a_record_that_the_scheduler_refuses_ends_the_stream(self) -> None:
        """Reactor: FluxPublishOnTest.rejectedExecutionExceptionOnDataSignalExecutor,
        FluxPublishOnTest.rejectedExecutionExceptionOnDataSignalExecutorService
        """
        discarded: list[Any] = []
        source = TestPublisher[int]()
        subscriber = AssertSubscriber[int](0)
        source.pipe(publish_on(disposed())).subscribe(subscriber)
        with hooks.listening(hooks.Hooks(discarded=discarded.append)):
            source.next(1)
        subscriber.assert_no_values().assert_error(DisposedException)
        source.assert_cancelled(1)
        assert discarded == [1]

    def test_an_error_that_the_scheduler_refuses_to_bring_is_not_lost(self) -> None:
        """Reactor: FluxPublishOnTest.rejectedExecutionExceptionOnErrorSignalExecutor,
        FluxPublishOnTest.rejectedExecutionExceptionOnErrorSignalExecutorService
        """
        source = TestPublisher[int]()
        subscriber = AssertSubscriber[int](0)
        source.pipe(publish_on(disposed())).subscribe(subscriber)
        source.error(RuntimeError("boom"))
        subscriber.assert_error(DisposedException)
        assert isinstance(subscriber.errors[0].__cause__, RuntimeError)


class TestThreads:
    def test_downstream_runs_in_the_thread_of_the_scheduler(self) -> None:
        names: set[str] = set()
        subscriber = AssertSubscriber[int](on_next=lambda _, __: names.add(threading.current_thread().name))
        with Worker("prices") as scheduler:
            from_iterable(range(10)).pipe(publish_on(scheduler)).subscribe(subscriber)
            subscriber.await_end(LONG).assert_complete()
        assert names == {"prices"}
        assert "prices" not in {thread.name for thread in threading.enumerate()}

    def test_a_thread_for_each_piece_of_work_does_it_too(self) -> None:
        subscriber = AssertSubscriber[int]()
        stream = from_iterable(range(1_000)).pipe(publish_on(NewThreadScheduler(), 16))
        stream.subscribe(subscriber)
        assert subscriber.await_end(LONG).assert_complete().values == list(range(1_000))

    @pytest.mark.parametrize("batch_size", [1, 64])
    def test_two_threads_racing_lose_nothing(self, batch_size: int) -> None:
        """50,000 records arrive once each and in order, under a demand that is renewed from within."""
        count = 50_000

        def renew(subscriber: AssertSubscriber[int], _: int) -> None:
            if len(subscriber.values) % 100 == 0:
                subscriber.request(100)

        subscriber = AssertSubscriber[int](100, renew)
        with switching_often(), Worker("one") as one, Worker("two") as two:
            stream = from_iterable(range(count), batch_size=batch_size)
            stream.pipe(publish_on(one, 64), publish_on(two, 32)).subscribe(subscriber)
            subscriber.await_end(LONG)
        assert subscriber.assert_complete().values == list(range(count))
        subscriber.assert_protocol()


def test_steps_of_virtual_time() -> None:
    """It works with any Rx scheduler, and so in virtual time."""
    (
        StepVerifier.with_virtual_time(lambda scheduler: from_iterable("ab").pipe(publish_on(scheduler)))
        .then_await(timedelta(seconds=1))
        .expect_next("a", "b")
        .verify_complete()
    )
