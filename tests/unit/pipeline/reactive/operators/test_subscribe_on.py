"""subscribe_on: the source runs where the scheduler says, from the subscription on."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from reactivex.internal.exceptions import DisposedException
from reactivex.scheduler import EventLoopScheduler, VirtualTimeScheduler

from pipeline.reactive import Flux, Worker, from_iterable, subscribe_on
from pipeline.reactive import map as mapped
from pipeline.reactive.subscriber import Subscriber
from pipeline.testing import AssertSubscriber, TestPublisher
from tests.racing import switching_often

LONG = timedelta(seconds=30)


def test_subscription_and_requests_are_made_in_the_thread_of_the_scheduler() -> None:
    names: list[str] = []
    upstream = from_iterable(range(5)).pipe(
        mapped(lambda n: (names.append(threading.current_thread().name), n)[1])
    )

    def connect(subscriber: Subscriber[int]) -> None:
        names.append(threading.current_thread().name)
        upstream.connect(subscriber)

    subscriber = AssertSubscriber[int](2)
    with Worker("source") as scheduler:
        Flux(connect).pipe(subscribe_on(scheduler)).subscribe(subscriber)
        subscriber.await_values(2)
        subscriber.request(9).await_end(LONG)
    subscriber.assert_values(0, 1, 2, 3, 4).assert_complete()
    assert set(names) == {"source"}


def test_what_is_asked_for_before_the_source_is_there_is_kept() -> None:
    scheduler = VirtualTimeScheduler()
    source = TestPublisher[int]()
    subscriber = AssertSubscriber[int](2)
    source.pipe(subscribe_on(scheduler)).subscribe(subscriber)
    subscriber.request(3)
    source.assert_was_not_subscribed()
    scheduler.start()
    assert source.requests == [5]
    source.next(1).emit(2)
    subscriber.assert_values(1, 2).assert_complete()


def test_a_cancel_before_that_leaves_the_source_alone() -> None:
    scheduler = VirtualTimeScheduler()
    source = TestPublisher[int]()
    subscriber = AssertSubscriber[int]()
    source.pipe(subscribe_on(scheduler)).subscribe(subscriber)
    subscriber.cancel()
    scheduler.start()
    source.assert_was_not_subscribed()


def test_a_cancel_after_it_reaches_the_source() -> None:
    scheduler = VirtualTimeScheduler()
    source = TestPublisher[int]()
    subscriber = AssertSubscriber[int]()
    source.pipe(subscribe_on(scheduler)).subscribe(subscriber)
    scheduler.start()
    subscriber.cancel()
    source.assert_cancelled(1)


def test_a_subscription_that_the_scheduler_refuses_ends_the_stream() -> None:
    scheduler = EventLoopScheduler()
    scheduler.dispose()
    source = TestPublisher[int]()
    subscriber = AssertSubscriber[int]()
    source.pipe(subscribe_on(scheduler)).subscribe(subscriber)
    subscriber.assert_error(DisposedException)
    source.assert_was_not_subscribed()


def test_a_request_that_it_refuses_ends_the_stream() -> None:
    source = TestPublisher[int]()
    subscriber = AssertSubscriber[int](1)
    with Worker("source") as scheduler:
        source.pipe(subscribe_on(scheduler)).subscribe(subscriber)
        done = threading.Event()
        scheduler.schedule(lambda _, __: done.set())
        assert done.wait(10)
    subscriber.request(1)
    subscriber.assert_error(DisposedException)
    source.assert_cancelled(1)


def test_requests_race_with_the_subscription() -> None:
    for _ in range(50):
        subscriber = AssertSubscriber[Any](1, lambda one, _: one.request(1))
        with switching_often(), Worker("source") as scheduler:
            from_iterable(range(20)).pipe(subscribe_on(scheduler)).subscribe(subscriber)
            for _ in range(5):
                subscriber.request(1)
            subscriber.await_end(LONG)
        assert subscriber.assert_complete().assert_protocol().values == list(range(20))
