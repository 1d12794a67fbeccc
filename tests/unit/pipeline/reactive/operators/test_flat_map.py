"""flat_map: several streams side by side, a bounded number of them at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import reactivex
from reactivex.scheduler import VirtualTimeScheduler

from pipeline.core.errors import BackpressureOverflow, ConfigError
from pipeline.reactive import Flux, Worker, flat_map, from_iterable, hooks, publish_on
from pipeline.reactive import map as mapped
from pipeline.testing import AssertSubscriber, StepVerifier, TestPublisher, Violation
from tests.racing import switching_often

LONG = timedelta(seconds=30)


def as_flux(values: Iterable[int]) -> Flux[int]:
    """Return a stream that has to be subscribed."""
    return from_iterable(values).pipe(mapped(lambda value: value))


def generated(values: Iterable[int]) -> Iterator[int]:
    yield from values


KINDS: dict[str, Callable[[Iterable[int]], Any]] = {
    "as it is": lambda values: values,
    "list": list,
    "tuple": tuple,
    "generator": generated,
    "from_iterable": from_iterable,
    "flux": as_flux,
}
kinds = pytest.mark.parametrize("inner", KINDS.values(), ids=list(KINDS))


class TestRecords:
    @kinds
    @pytest.mark.parametrize("batch_size", [1, 4])
    @pytest.mark.parametrize("step", [1, 3, 1_000])
    def test_all_come_whatever_is_asked_for_at_a_time(
        self, inner: Callable[[Iterable[int]], Any], batch_size: int, step: int
    ) -> None:
        """Reactor: FluxFlatMapTest.normalBackpressured"""
        subscriber = AssertSubscriber[int](0)
        source = from_iterable(range(20), batch_size=batch_size)
        source.pipe(flat_map(lambda n: inner([n] * (n % 4)), 3, 2)).subscribe(subscriber)
        asked = 0
        while not subscriber.completions and asked <= 40:
            subscriber.request(step)
            asked += step
            assert len(subscriber.values) <= asked
        expected = Counter({n: n % 4 for n in range(20)})
        assert Counter(subscriber.assert_complete().values) == +expected
        subscriber.assert_protocol()

    @kinds
    def test_those_of_one_inner_stream_keep_their_order(self, inner: Callable[[Iterable[int]], Any]) -> None:
        """Reactor: FluxFlatMapTest.noInnerReordering"""
        subscriber = AssertSubscriber[int](0)
        source = from_iterable([0, 100, 200])
        source.pipe(flat_map(lambda n: inner(range(n, n + 50)))).subscribe(subscriber)
        for _ in range(160):
            subscriber.request(1)
        values = subscriber.assert_complete().values
        for first in (0, 100, 200):
            assert [n for n in values if first <= n < first + 100] == list(range(first, first + 50))

    def test_a_request_of_zero_is_refused_and_one_by_one_is_served(self) -> None:
        """Reactor ignores a request of 0 among its own; here rule 3.9 holds for everybody.

        Reactor: FluxFlatMapTest.ignoreRequestZeroThenRequestOneByOne
        """
        served = AssertSubscriber[int](0)
        from_iterable([1, 2]).pipe(flat_map(lambda n: [n, n])).subscribe(served)
        for asked in range(1, 5):
            assert len(served.request(1).values) == asked
        served.assert_values(1, 1, 2, 2).assert_complete()

        refused = AssertSubscriber[int](0)
        from_iterable([1, 2]).pipe(flat_map(lambda n: [n, n])).subscribe(refused)
        refused.request(0)
        refused.assert_no_values().assert_error(ValueError, "3.9")

    def test_demand_comes_bit_by_bit(self) -> None:
        """Reactor: FluxFlatMapTest.progressiveRequest"""
        source = TestPublisher[int]()
        (
            StepVerifier.create(source.pipe(flat_map(lambda n: as_flux([n]))), 1)
            .then(lambda: source.next(1))
            .expect_next(1)
            .then(lambda: source.next(2))
            .expect_no_event(timedelta(milliseconds=1))
            .then_request(1)
            .expect_next(2)
            .then_request(3)
            .then(lambda: source.emit(3, 4, 5))
            .expect_next(3, 4, 5)
            .verify_complete()
        )

    def test_a_list_travels_as_one_batch(self) -> None:
        batches: list[list[int]] = []

        class Batches:
            def on_subscribe(self, subscription: Any) -> None:
                subscription.request(5)

            def on_next(self, value: int) -> None:
                batches.append([value])

            def on_next_batch(self, values: list[int]) -> None:
                batches.append(values)

            def on_error(self, error: Exception) -> None:
                raise error

            def on_completed(self) -> None: ...

        from_iterable([1, 2]).pipe(flat_map(lambda n: [n] * 3)).subscribe(Batches())
        assert batches == [[1, 1, 1], [2, 2]]

    def test_one_that_never_ends_does_not_hold_up_the_others(self) -> None:
        subscriber = AssertSubscriber[int](0)
        source = from_iterable([0, 1_000_000])
        source.pipe(flat_map(count)).subscribe(subscriber)
        for _ in range(10):
            subscriber.request(10)
        assert {value < 1_000_000 for value in subscriber.values} == {True, False}

    def test_what_is_made_as_it_is_read_is_not_read_ahead(self) -> None:
        read: list[int] = []

        def reading() -> Iterator[int]:
            for number in range(10):
                read.append(number)
                yield number

        subscriber = AssertSubscriber[int](3)
        from_iterable([1]).pipe(flat_map(lambda _: reading())).subscribe(subscriber)
        assert read == [0, 1, 2]


class TestConcurrency:
    def test_one_at_a_time(self) -> None:
        """Reactor: FluxFlatMapTest.testMaxConcurrency1"""
        self._runs_at_most(1)

    def test_two_at_a_time(self) -> None:
        """Reactor: FluxFlatMapTest.testMaxConcurrency2"""
        self._runs_at_most(2)

    def _runs_at_most(self, concurrency: int) -> None:
        source = TestPublisher[int]()
        inner = [TestPublisher[int]() for _ in range(5)]
        source.pipe(flat_map(lambda n: inner[n], concurrency)).subscribe(AssertSubscriber[int]())
        assert source.requests == [concurrency]
        source.next(*range(concurrency))
        for number in range(concurrency, 5):
            inner[number - concurrency].complete()
            assert source.requests == [concurrency] + [1] * (number - concurrency + 1)
            source.next(number)
        assert all(publisher.subscribed == 1 for publisher in inner)

    def test_streams_that_are_at_hand_are_asked_for_several_at_a_time(self) -> None:
        source = TestPublisher[int]()
        source.pipe(flat_map(lambda n: [n], 4)).subscribe(AssertSubscriber[int]())
        source.next(*range(7))
        assert source.requests == [4, 3, 3]

    def test_no_place_stays_empty_beside_one_that_does_not_end(self) -> None:
        source = TestPublisher[int]()
        forever = TestPublisher[int]()
        source.pipe(flat_map(lambda n: forever if n == 0 else [n], 4)).subscribe(AssertSubscriber[int]())
        source.next(0, 1)
        assert source.requests == [4, 1]

    def test_each_inner_stream_is_asked_for_three_quarters_at_a_time(self) -> None:
        inner = TestPublisher[int]()
        from_iterable([1]).pipe(flat_map(lambda _: inner)).subscribe(AssertSubscriber[int]())
        inner.next(*range(48))
        assert inner.requests == [32, 24, 24]

    @pytest.mark.parametrize("name", ["concurrency", "prefetch"])
    def test_bounds_must_be_positive(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"{name} must be at least 1, not 0"):
            flat_map(lambda n: [n], **{name: 0})


class TestEnds:
    @kinds
    def test_no_records_need_no_demand_to_complete(self, inner: Callable[[Iterable[int]], Any]) -> None:
        subscriber = AssertSubscriber[int](0)
        from_iterable(list[int]()).pipe(flat_map(lambda n: inner([n]))).subscribe(subscriber)
        subscriber.assert_complete()

    @pytest.mark.parametrize("kind", ["list", "from_iterable", "flux"])
    def test_empty_inner_streams_need_no_demand_to_complete(self, kind: str) -> None:
        subscriber = AssertSubscriber[int](0)
        from_iterable([1, 2, 3]).pipe(flat_map(lambda _: KINDS[kind]([]))).subscribe(subscriber)
        subscriber.assert_complete()

    @pytest.mark.parametrize("batch_size", [1, 4])
    def test_an_error_of_the_function_comes_after_the_records_before_it(self, batch_size: int) -> None:
        subscriber = AssertSubscriber[int]()
        source = from_iterable([2, 1, 0, 1], batch_size=batch_size)
        source.pipe(flat_map(lambda n: [2 // n])).subscribe(subscriber)
        subscriber.assert_values(1, 2).assert_error(ZeroDivisionError)

    def test_an_error_of_an_inner_stream_stops_the_others(self) -> None:
        source, first, second = TestPublisher[int](), TestPublisher[int](), TestPublisher[int]()
        discarded: list[Any] = []
        subscriber = AssertSubscriber[int](1)
        source.pipe(flat_map(lambda n: (first, second)[n])).subscribe(subscriber)
        source.next(0, 1)
        with hooks.listening(hooks.Hooks(discarded=discarded.append)):
            first.next(10, 11)
            second.error(RuntimeError("boom"))
        subscriber.assert_values(10).assert_error(RuntimeError, "boom")
        source.assert_cancelled(1)
        first.assert_cancelled(1)
        assert discarded == [11]

    def test_an_error_of_the_source_does_not_wait(self) -> None:
        source, inner = TestPublisher[int](), TestPublisher[int]()
        subscriber = AssertSubscriber[int]()
        source.pipe(flat_map(lambda _: inner)).subscribe(subscriber)
        source.next(1).error(RuntimeError("boom"))
        subscriber.assert_error(RuntimeError, "boom")
        inner.assert_cancelled(1)

    def test_it_completes_with_the_last_inner_stream(self) -> None:
        source, inner = TestPublisher[int](), TestPublisher[int]()
        subscriber = AssertSubscriber[int]()
        source.pipe(flat_map(lambda _: inner)).subscribe(subscriber)
        source.emit(1)
        subscriber.assert_not_terminated()
        inner.emit(7)
        subscriber.assert_values(7).assert_complete()

    def test_an_inner_stream_that_ends_while_it_is_looked_at_counts_once(self) -> None:
        """The turn sees its end as soon as it is there, and its last signal calls for another look at it."""
        source, first, second = TestPublisher[int](), TestPublisher[int](), TestPublisher[int]()

        def end_first(value: int) -> int:
            if value == 1:
                first.complete()
            return value

        subscriber = AssertSubscriber[int]()
        source.pipe(flat_map(lambda n: (first, second)[n]), mapped(end_first)).subscribe(subscriber)
        source.next(0, 1).complete()
        first.next(1)
        assert not subscriber.assert_values(1).completions
        second.next(2).complete()
        subscriber.assert_values(1, 2).assert_complete()

    def test_a_cancel_reaches_the_source_and_every_inner_stream(self) -> None:
        source, inner = TestPublisher[int](), [TestPublisher[int]() for _ in range(3)]
        subscriber = AssertSubscriber[int]()
        source.pipe(flat_map(lambda n: inner[n])).subscribe(subscriber)
        source.next(0, 1, 2)
        subscriber.cancel()
        source.assert_cancelled(1)
        assert [publisher.cancelled for publisher in inner] == [1, 1, 1]

    def test_an_iterator_that_raises_ends_the_stream_after_what_it_emitted(self) -> None:
        def failing(_: int) -> Iterator[int]:
            yield 1
            raise RuntimeError("boom")

        subscriber = AssertSubscriber[int]()
        from_iterable([1]).pipe(flat_map(failing)).subscribe(subscriber)
        subscriber.assert_values(1).assert_error(RuntimeError, "boom")


class TestFaults:
    def test_an_inner_stream_that_sends_too_much_overflows(self) -> None:
        """Reactor: FluxFlatMapTest.failOverflowCouldBeReached, FluxFlatMapTest.failOverflow"""
        inner = TestPublisher[int].create_noncompliant(Violation.REQUEST_OVERFLOW)
        subscriber = AssertSubscriber[int](0)
        from_iterable([1]).pipe(flat_map(lambda _: inner, prefetch=2)).subscribe(subscriber)
        inner.next(1, 2, 3)
        inner.assert_cancelled(1)
        subscriber.request(9)
        subscriber.assert_values(1, 2).assert_error(BackpressureOverflow)

    @pytest.mark.parametrize("inner", [None, [1, None], from_iterable([None])])
    def test_none_is_refused(self, inner: Any) -> None:
        subscriber = AssertSubscriber[Any]()
        from_iterable([1]).pipe(flat_map(lambda _: inner)).subscribe(subscriber)
        subscriber.assert_no_values().assert_error(TypeError, "2.13")

    def test_a_plain_observable_is_refused(self) -> None:
        """It would drown the operator: nobody could ask it for less."""
        subscriber = AssertSubscriber[int]()
        from_iterable([1]).pipe(flat_map(lambda _: reactivex.of(1))).subscribe(subscriber)
        subscriber.assert_error(ConfigError, "flat_map's function needs a Flux")

    def test_what_comes_after_the_end_is_dropped(self) -> None:
        dropped: list[Any] = []
        source = TestPublisher[int].create_noncompliant(Violation.CLEANUP_ON_TERMINATE)
        subscriber = AssertSubscriber[int]()
        source.pipe(flat_map(lambda n: [n])).subscribe(subscriber)
        with hooks.listening(hooks.Hooks(dropped=dropped.append)):
            source.next(1).complete().next(2).next_batch([3, 4])
        subscriber.assert_values(1).assert_complete()
        assert dropped == [2, 3, 4]


class TestThreads:
    @pytest.mark.parametrize("concurrency", [1, 4, 256])
    def test_inner_streams_of_other_threads_lose_nothing(self, concurrency: int) -> None:
        """Streams of three threads, under a demand that is renewed from within, each record once."""

        def renew(subscriber: AssertSubscriber[int], _: int) -> None:
            if len(subscriber.values) % 50 == 0:
                subscriber.request(50)

        subscriber = AssertSubscriber[int](50, renew)
        with switching_often(), Worker("one") as one, Worker("two") as two, Worker("out") as out:
            inner = lambda n: from_iterable(range(n * 100, n * 100 + 100), batch_size=1 + n % 3).pipe(  # noqa: E731
                publish_on(one if n % 2 else two, 16)
            )
            stream = from_iterable(range(100)).pipe(flat_map(inner, concurrency, 8), publish_on(out))
            stream.subscribe(subscriber)
            subscriber.await_end(LONG)
        assert sorted(subscriber.assert_complete().values) == list(range(10_000))
        subscriber.assert_protocol()

    def test_a_cancel_from_within_stops_at_once(self) -> None:
        subscriber = AssertSubscriber[int](on_next=lambda one, _: one.cancel())
        scheduler = VirtualTimeScheduler()
        from_iterable(range(10)).pipe(flat_map(lambda n: as_flux([n]).pipe(publish_on(scheduler)))).subscribe(
            subscriber
        )
        scheduler.start()
        subscriber.assert_values(0).assert_not_terminated()
