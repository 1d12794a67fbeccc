"""on_backpressure_drop: records beyond demand are dropped, and a callback may get them."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex

from pipeline.reactive import Flux, from_iterable, on_backpressure_drop
from pipeline.testing import AssertSubscriber, TestPublisher, Violation
from tests.unit.pipeline.reactive.conftest import Lost


def subscribed(flux: Flux[Any], n: int = 0) -> AssertSubscriber[Any]:
    subscriber = AssertSubscriber[Any](n)
    flux.subscribe(subscriber)
    return subscriber


def test_what_is_wanted_passes() -> None:
    """Reactor: FluxOnBackpressureDropTest.normal"""
    subscribed(from_iterable(range(1, 11)).pipe(on_backpressure_drop()), 20).assert_values(
        *range(1, 11)
    ).assert_complete()


def test_an_error_passes() -> None:
    """Reactor: FluxOnBackpressureDropTest.normalError"""
    publisher = TestPublisher[int]()
    subscriber = subscribed(publisher.pipe(on_backpressure_drop()))
    publisher.error(OSError("lost"))
    subscriber.assert_no_values().assert_error(OSError, "lost")


def test_nothing_is_kept_for_a_later_request() -> None:
    """Reactor: FluxOnBackpressureDropTest.normalBackpressured"""
    subscriber = subscribed(from_iterable(range(1, 11)).pipe(on_backpressure_drop()))
    subscriber.assert_no_values().assert_complete()


def test_each_record_is_delivered_or_dropped(lost: Lost) -> None:
    """Reactor: FluxOnBackpressureDropTest.someDrops"""
    publisher = TestPublisher[int]()
    dropped: list[int] = []
    subscriber = subscribed(publisher.pipe(on_backpressure_drop(dropped.append)))
    publisher.next(1)
    subscriber.request(1)
    publisher.next(2)
    subscriber.request(1)
    publisher.next(3, 4)
    subscriber.request(10)
    publisher.next(5).complete()
    subscriber.assert_values(2, 3, 5).assert_complete()
    assert dropped == lost.discarded == [1, 4]


def test_a_callback_that_raises_cancels_and_ends_the_stream() -> None:
    """Reactor: FluxOnBackpressureDropTest.onDropThrows"""

    def refuse(value: int) -> None:
        raise RuntimeError(f"no {value}")

    publisher = TestPublisher[int]()
    subscriber = subscribed(publisher.pipe(on_backpressure_drop(refuse)))
    publisher.next(1)
    subscriber.assert_no_values().assert_error(RuntimeError, "no 1")
    publisher.assert_cancelled(1)


def test_the_first_ones_asked_for_are_delivered() -> None:
    """Reactor: FluxOnBackpressureDropTest.onBackpressureDrop"""
    subscriber = subscribed(from_iterable(range(1, 101)).pipe(on_backpressure_drop()), 5)
    subscriber.assert_values(1, 2, 3, 4, 5).assert_complete()


def test_the_callback_may_be_left_out(lost: Lost) -> None:
    """Reactor: FluxOnBackpressureDropTest.onDropNull

    Where Reactor refuses a null, here no callback is called; the hook for discarded records is.
    """
    subscribed(from_iterable([1, 2]).pipe(on_backpressure_drop(None))).assert_complete()
    assert lost.discarded == [1, 2]


def test_what_comes_after_the_end_is_dropped_like_the_rest() -> None:
    publisher = TestPublisher[int].create_noncompliant(Violation.CLEANUP_ON_TERMINATE)
    dropped: list[int] = []
    subscriber = subscribed(publisher.pipe(on_backpressure_drop(dropped.append)), 5)
    publisher.next(1).complete().next(2)
    subscriber.assert_values(1).assert_complete()
    assert dropped == [2]


def test_a_batch_passes_as_far_as_it_is_wanted() -> None:
    dropped: list[int] = []
    flux = from_iterable(range(10), batch_size=5).pipe(on_backpressure_drop(dropped.append))
    subscribed(flux, 7).assert_values(*range(7)).assert_complete()
    assert dropped == [7, 8, 9]


def test_a_plain_observable_may_come_before_it() -> None:
    subscribed(reactivex.range(0, 10).pipe(on_backpressure_drop()), 3).assert_values(
        0, 1, 2
    ).assert_complete()


@pytest.mark.parametrize("batch_size", [1, 4])
def test_more_that_is_asked_for_meanwhile_counts(batch_size: int) -> None:
    """A subscriber that asks for one more with each record misses none."""
    subscriber = AssertSubscriber[int](1, lambda subscriber, _: subscriber.request(1))
    from_iterable(range(10), batch_size=batch_size).pipe(on_backpressure_drop()).subscribe(subscriber)
    subscriber.assert_values(*range(10)).assert_complete()
