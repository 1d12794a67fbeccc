"""on_backpressure_latest: the newest record waits and replaces the one before."""

from __future__ import annotations

import threading
from typing import Any

from pipeline.reactive import Flux, create, from_iterable, on_backpressure_latest
from pipeline.testing import AssertSubscriber, TestPublisher
from tests.racing import switching_often
from tests.unit.pipeline.reactive.conftest import Lost


def subscribed(flux: Flux[Any], n: int = 0) -> AssertSubscriber[Any]:
    subscriber = AssertSubscriber[Any](n)
    flux.subscribe(subscriber)
    return subscriber


def test_what_is_wanted_passes() -> None:
    """Reactor: FluxOnBackpressureLatestTest.normal"""
    publisher = TestPublisher[int]()
    subscriber = subscribed(publisher.pipe(on_backpressure_latest()), 10)
    publisher.next(1).next(2).complete()
    subscriber.assert_values(1, 2).assert_complete()


def test_an_error_passes() -> None:
    """Reactor: FluxOnBackpressureLatestTest.error"""
    publisher = TestPublisher[int]()
    subscriber = subscribed(publisher.pipe(on_backpressure_latest()), 10)
    publisher.next(1, 2).error(OSError("lost"))
    subscriber.assert_values(1, 2).assert_error(OSError)


def test_a_request_gets_the_newest(lost: Lost) -> None:
    """Reactor: FluxOnBackpressureLatestTest.backpressured"""
    publisher = TestPublisher[int]()
    subscriber = subscribed(publisher.pipe(on_backpressure_latest()))
    publisher.next(1, 2)
    subscriber.assert_no_values().request(1).assert_values(2)
    publisher.next(3, 4)
    subscriber.assert_values(2).request(2).assert_values(2, 4)
    publisher.next(5).complete()
    subscriber.assert_values(2, 4, 5).assert_complete()
    assert lost.discarded == [1, 3]


def test_a_record_that_arrives_during_another_waits_its_turn() -> None:
    """Reactor: FluxOnBackpressureLatestTest.backpressureWithDrop"""
    publisher = TestPublisher[int]()

    def react(_: Any, value: int) -> None:
        if value == 2:
            publisher.next(3)

    subscriber = AssertSubscriber[int](0, react)
    publisher.pipe(on_backpressure_latest()).subscribe(subscriber)
    publisher.next(1, 2)
    subscriber.request(1).assert_values(2)
    subscriber.request(1).assert_values(2, 3)


def test_the_completion_waits_for_the_newest_but_an_error_does_not(lost: Lost) -> None:
    completing, failing = TestPublisher[int](), TestPublisher[int]()
    subscriber = subscribed(completing.pipe(on_backpressure_latest()))
    completing.next(1).complete()
    subscriber.assert_not_terminated().request(1).assert_values(1).assert_complete()
    subscriber = subscribed(failing.pipe(on_backpressure_latest()))
    failing.next(2).error(OSError("lost"))
    subscriber.assert_no_values().assert_error(OSError)
    assert lost.discarded == [2]


def test_of_a_batch_the_last_one_is_kept() -> None:
    flux = from_iterable(range(10), batch_size=5).pipe(on_backpressure_latest())
    subscribed(flux, 2).assert_values(0, 1).request(1).assert_values(0, 1, 9).assert_complete()


def test_under_threads_each_record_is_newer_than_the_one_before_and_the_last_arrives() -> None:
    """Reactor: FluxOnBackpressureLatestTest.backpressuredComplex"""
    count = 3_000
    subscriber = AssertSubscriber[int](0)
    with switching_often():
        sinks: list[Any] = []
        create(sinks.append, "IGNORE").pipe(on_backpressure_latest()).subscribe(subscriber)

        def produce() -> None:
            for number in range(count):
                sinks[0].next(number)
            sinks[0].complete()

        producer = threading.Thread(target=produce, name="latest-producer")
        producer.start()
        while producer.is_alive() or not subscriber.terminated:
            subscriber.request(1)
        producer.join(10)
    subscriber.assert_complete().assert_protocol()
    assert subscriber.values == sorted(set(subscriber.values))
    assert subscriber.values[-1] == count - 1


def test_what_is_wanted_does_not_give_way_to_what_is_not(lost: Lost) -> None:
    """Three records come while the first is looked at, and one of them is wanted: the last ones compete."""
    publisher = TestPublisher[int]()

    def react(_: Any, value: int) -> None:
        if value == 1:
            publisher.next(2, 3, 4)

    subscriber = AssertSubscriber[int](2, react)
    publisher.pipe(on_backpressure_latest()).subscribe(subscriber)
    publisher.next(1)
    subscriber.assert_values(1, 2)
    assert lost.discarded == [3]
    subscriber.request(1).assert_values(1, 2, 4)
