"""map and filter, alone and several in a row: what they change, and that no demand is lost."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.reactive import Flux, filter, from_iterable, map  # noqa: A004 - the names in Rx
from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.operators.row import MAX_STEPS
from pipeline.testing import AssertSubscriber, TestPublisher, Violation
from tests.unit.pipeline.reactive.conftest import Lost, Requests

BATCHES = pytest.mark.parametrize("batch_size", [1, 4])


def is_even(number: int) -> bool:
    return number % 2 == 0


def double(number: int) -> int:
    return number * 2


def increment(number: int) -> int:
    return number + 1


def subscribed(flux: Flux[Any], n: int = UNBOUNDED) -> AssertSubscriber[Any]:
    subscriber = AssertSubscriber[Any](n)
    flux.subscribe(subscriber)
    return subscriber


@BATCHES
class TestMap:
    def test_each_record_is_changed(self, batch_size: int) -> None:
        flux = from_iterable(range(6), batch_size=batch_size).pipe(map(lambda n: n * 10))
        subscribed(flux, 4).assert_values(0, 10, 20, 30).request(2).assert_value_count(6).assert_complete()

    def test_demand_passes_untouched(self, batch_size: int) -> None:
        source = Requests(from_iterable(range(20), batch_size=batch_size))
        subscribed(source.pipe(map(str)), 3).request(5)
        assert source.made == [3, 5]

    def test_what_the_function_raises_ends_the_stream_after_what_came_before(self, batch_size: int) -> None:
        publisher = TestPublisher[int]()
        subscriber = subscribed(publisher.pipe(map(lambda n: 6 // n)))
        if batch_size == 1:
            publisher.next(2, 3, 0)
        else:
            publisher.next_batch([2, 3, 0, 1])
        subscriber.assert_values(3, 2).assert_error(ZeroDivisionError)
        publisher.assert_cancelled(1)

    def test_none_is_refused(self, batch_size: int) -> None:
        """Rule 2.13."""
        flux = from_iterable([1, 2], batch_size=batch_size).pipe(map(lambda n: None if n == 2 else n))
        subscribed(flux).assert_values(1).assert_error(TypeError, "map's function returned None")


@BATCHES
class TestFilter:
    def test_each_accepted_record_passes(self, batch_size: int) -> None:
        flux = from_iterable(range(9), batch_size=batch_size).pipe(filter(is_even))
        subscribed(flux).assert_values(0, 2, 4, 6, 8).assert_complete()

    def test_rejected_records_are_replaced(self, batch_size: int) -> None:
        """Downstream gets as many as it requested, though upstream emits twice as many."""
        subscriber = subscribed(from_iterable(range(100), batch_size=batch_size).pipe(filter(is_even)), 3)
        subscriber.assert_values(0, 2, 4).request(2).assert_values(0, 2, 4, 6, 8)

    def test_no_more_is_asked_for_than_replaces_them(self, batch_size: int) -> None:
        source = Requests(from_iterable(range(100), batch_size=batch_size))
        subscriber = subscribed(source.pipe(filter(lambda n: n % 10 == 9)), 2).assert_values(9, 19)
        assert sum(source.made) == 20
        subscriber.request(1).assert_values(9, 19, 29)
        assert sum(source.made) == 30

    def test_unbounded_demand_is_asked_for_once(self, batch_size: int) -> None:
        source = Requests(from_iterable(range(100), batch_size=batch_size))
        subscribed(source.pipe(filter(is_even))).assert_value_count(50)
        assert source.made == [UNBOUNDED]

    def test_what_the_predicate_raises_ends_the_stream(self, batch_size: int) -> None:
        flux = from_iterable([3, 1, 0, 1], batch_size=batch_size).pipe(filter(lambda n: 1 / n))
        subscribed(flux).assert_values(3, 1).assert_error(ZeroDivisionError)


@BATCHES
class TestSeveralInARow:
    def test_they_do_what_each_does(self, batch_size: int) -> None:
        flux = from_iterable(range(10), batch_size=batch_size).pipe(
            map(increment), filter(lambda n: n % 3 != 0), map(double)
        )
        subscriber = subscribed(flux, 4).assert_values(2, 4, 8, 10)
        subscriber.request(9).assert_values(2, 4, 8, 10, 14, 16, 20).assert_complete()

    def test_what_is_before_stays_as_it_was(self, batch_size: int) -> None:
        """A stream that others build on is not changed by them."""
        tens = from_iterable([1, 2], batch_size=batch_size).pipe(map(lambda n: n * 10))
        hundreds = tens.pipe(map(lambda n: n * 10))
        subscribed(tens).assert_values(10, 20)
        subscribed(hundreds).assert_values(100, 200)

    def test_however_many_there_are(self, batch_size: int) -> None:
        """More than are made one function of."""
        flux: Flux[int] = from_iterable(range(8), batch_size=batch_size)
        for rejected in range(MAX_STEPS):
            flux = flux.pipe(map(increment), filter(lambda n, rejected=rejected: n != rejected + 3))
        subscribed(flux, 3).request(9).assert_values(*(n + MAX_STEPS for n in range(8) if n != 2))

    def test_what_is_in_hand_at_a_cancel_is_dropped(self, batch_size: int, lost: Lost) -> None:
        def cancel(value: int) -> int:
            subscriber.cancel()
            return value

        subscriber = AssertSubscriber[int]()
        source = from_iterable([1, 2], batch_size=batch_size)
        source.pipe(map(double), map(cancel), map(increment)).subscribe(subscriber)
        subscriber.assert_values()
        assert lost.dropped[:1] == [3]

    def test_an_observer_without_on_error_raises_to_the_one_that_subscribed(self, batch_size: int) -> None:
        def refuse(value: int) -> None:
            raise OSError(f"no {value}")

        with pytest.raises(OSError, match="no 2"):
            from_iterable([1], batch_size=batch_size).pipe(map(lambda n: n * 2)).subscribe(refuse)


@given(
    numbers=st.lists(st.integers(0, 9), max_size=40),
    batch_size=st.integers(1, 7),
    requests=st.lists(st.integers(1, 9), max_size=12),
    kept=st.sets(st.integers(0, 9)),
)
def test_any_demand_gets_the_first_of_what_passes(
    numbers: list[int], batch_size: int, requests: list[int], kept: set[int]
) -> None:
    """No record is lost, none comes unasked, and upstream never owes more than downstream wants."""
    source = Requests(from_iterable(numbers, batch_size=batch_size))
    subscriber = subscribed(source.pipe(filter(kept.__contains__), map(increment)), 0)
    for n in requests:
        subscriber.request(n)
    expected = [number + 1 for number in numbers if number in kept]
    assert subscriber.values == expected[: sum(requests)]
    subscriber.assert_protocol()


def test_after_the_end_no_function_is_called(lost: Lost) -> None:
    called: list[int] = []
    publisher = TestPublisher[int].create_noncompliant(Violation.CLEANUP_ON_TERMINATE)
    subscriber = subscribed(publisher.pipe(map(lambda n: called.append(n) or n)))
    publisher.next(1).complete().next(2).next_batch([3, 4])
    subscriber.assert_values(1).assert_complete()
    assert called == [1]
    assert [*lost.dropped, *lost.discarded] == [2, 3, 4]


def test_a_cancelled_subscriber_is_let_go_of_by_a_source_that_does_not() -> None:
    """Rule 3.13."""
    publisher = TestPublisher[int].create_noncompliant(Violation.DEFER_CANCELLATION)
    subscriber = subscribed(publisher.pipe(map(str), filter(bool)))
    gone = weakref.ref(subscriber)
    subscriber.cancel()
    del subscriber
    gc.collect()
    assert gone() is None
    publisher.assert_was_subscribed()
