"""on_backpressure_buffer: what is kept beyond demand, what is dropped, and when the error comes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import reactivex
from reactivex.testing import TestScheduler

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import (
    BufferOverflowStrategy,
    Flux,
    from_iterable,
    from_observable,
    limit_rate,
    on_backpressure_buffer,
    take,
)
from pipeline.testing import AssertSubscriber, TestPublisher, Violation
from tests.unit.pipeline.reactive.conftest import Lost

DROP_OLDEST, DROP_LATEST, ERROR = BufferOverflowStrategy

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def subscribed(flux: Flux[Any], n: int = 0) -> AssertSubscriber[Any]:
    subscriber = AssertSubscriber[Any](n)
    flux.subscribe(subscriber)
    return subscriber


def boom(_: Any) -> None:
    raise RuntimeError("boom")


class TestUnbounded:
    def test_it_asks_for_everything_and_keeps_what_is_not_wanted(self) -> None:
        """Reactor: FluxOnBackpressureBufferTest.onBackpressureBuffer"""
        subscriber = subscribed(from_iterable(range(1, 101)).pipe(on_backpressure_buffer()))
        subscriber.request(5).assert_values(1, 2, 3, 4, 5)
        subscriber.request(90).assert_value_count(95).assert_not_terminated()
        subscriber.request(5).assert_values(*range(1, 101)).assert_complete()

    def test_an_error_comes_after_what_is_kept(self) -> None:
        publisher = TestPublisher[str]()
        subscriber = subscribed(publisher.pipe(on_backpressure_buffer()))
        publisher.next("a", "b").error(OSError("lost"))
        subscriber.request(1).assert_values("a").assert_not_terminated()
        subscriber.request(1).assert_values("a", "b").assert_error(OSError)

    def test_what_is_kept_is_discarded_by_a_cancel(self, lost: Lost) -> None:
        publisher = TestPublisher[str]()
        subscriber = subscribed(publisher.pipe(on_backpressure_buffer()), 1)
        publisher.next("a", "b", "c")
        subscriber.cancel().assert_values("a")
        assert lost.discarded == ["b", "c"]
        publisher.assert_cancelled(1)

    def test_batches_continue_as_batches_as_far_as_they_are_wanted(self) -> None:
        class Batches(AssertSubscriber[int]):
            def on_next_batch(self, values: Any) -> None:
                assert len(values) > 1 or self.requested == 3
                for value in values:
                    self.on_next(value)

        subscriber = Batches(3)
        from_iterable(range(10), batch_size=5).pipe(on_backpressure_buffer()).subscribe(subscriber)
        subscriber.assert_values(0, 1, 2)
        subscriber.request(7).assert_values(*range(10)).assert_complete()

    def test_a_plain_observable_may_come_before_it(self) -> None:
        subscriber = subscribed(reactivex.range(0, 5).pipe(on_backpressure_buffer()), 2)
        subscriber.assert_values(0, 1).request(3).assert_values(*range(5)).assert_complete()


class TestBounded:
    @pytest.mark.parametrize("on_overflow", [None, lambda _: None])
    def test_the_overflow_error_waits_for_what_is_kept(
        self, on_overflow: Callable[[Any], object] | None
    ) -> None:
        """Reactor: FluxOnBackpressureBufferTest.bufferOverflowErrorDelayed"""
        publisher = TestPublisher[str].create_noncompliant(Violation.REQUEST_OVERFLOW)
        subscriber = subscribed(publisher.pipe(on_backpressure_buffer(3, on_overflow)))
        publisher.next("A", "B", "C", "D")
        subscriber.assert_no_values().assert_not_terminated()
        subscriber.request(3).assert_values("A", "B", "C").assert_error(BackpressureOverflow)

    def test_the_first_records_are_the_ones_kept(self) -> None:
        """Reactor: FluxOnBackpressureBufferTest.onBackpressureBufferMax"""
        subscriber = subscribed(from_iterable(range(1, 101)).pipe(on_backpressure_buffer(8)))
        subscriber.request(9).assert_values(*range(1, 9)).assert_error(BackpressureOverflow)

    def test_the_callback_gets_the_first_too_many(self) -> None:
        """Reactor: FluxOnBackpressureBufferTest.onBackpressureBufferMaxCallback"""
        overflown: list[int] = []
        subscriber = subscribed(
            from_iterable(range(1, 101)).pipe(on_backpressure_buffer(8, overflown.append))
        )
        assert overflown == [9]
        subscriber.request(9).assert_values(*range(1, 9)).assert_error(BackpressureOverflow)

    def test_a_good_source_stops_at_the_first_overflow(self, lost: Lost) -> None:
        """Reactor: FluxOnBackpressureBufferTest.onBackpressureBufferMaxCallbackUnder8"""
        produced: list[int] = []
        overflown: list[int] = []
        numbers = (produced.append(n) or n for n in range(1, 16))
        subscriber = subscribed(from_iterable(numbers).pipe(on_backpressure_buffer(3, overflown.append)), 5)
        subscriber.assert_values(1, 2, 3, 4, 5)
        subscriber.request(100).assert_values(*range(1, 9)).assert_error(BackpressureOverflow)
        assert overflown == [9]
        assert len(produced) == 9
        assert lost.dropped == []

    @pytest.mark.parametrize("strategy", [None, ERROR])
    def test_what_a_bad_source_still_sends_is_dropped(
        self, lost: Lost, strategy: BufferOverflowStrategy | None
    ) -> None:
        """Reactor: FluxOnBackpressureBufferTest.onBackpressureBufferMaxCallbackSourceEmitsAfterComplete,
        FluxOnBackpressureBufferStrategyTest.onBackpressureBufferWithBadSourceEmitsAfterComplete
        """
        publisher = TestPublisher[int].create_noncompliant(Violation.DEFER_CANCELLATION)
        overflown: list[int] = []
        subscriber = subscribed(publisher.pipe(on_backpressure_buffer(3, overflown.append, strategy)), 5)
        publisher.next(*range(1, 16))
        subscriber.assert_values(1, 2, 3, 4, 5)
        subscriber.request(100).assert_values(*range(1, 9)).assert_error(BackpressureOverflow)
        assert overflown == [9]
        assert lost.dropped == [10, 11, 12, 13, 14, 15]

    def test_requests_that_fall_behind_overflow_it_once(self) -> None:
        """Reactor: FluxOnBackpressureBufferTest.stepByStepRequesting"""
        scheduler = TestScheduler()
        overflown: list[int] = []
        produced: list[int] = []
        ticks = from_observable(reactivex.interval(1.0, scheduler=scheduler))
        noticed = ticks.pipe(take(8), _noticing(produced))
        subscriber = subscribed(noticed.pipe(on_backpressure_buffer(2, overflown.append)))
        scheduler.advance_by(1)
        subscriber.request(1).assert_values(0)
        scheduler.advance_by(2)
        subscriber.request(1).assert_values(0, 1)
        scheduler.advance_by(2)
        assert overflown == [4]
        subscriber.request(1).assert_values(0, 1, 2)
        scheduler.advance_by(4)
        assert produced == [0, 1, 2, 3, 4]
        subscriber.request(1).assert_values(0, 1, 2, 3).assert_error(BackpressureOverflow)

    @pytest.mark.parametrize(("size", "first_too_many"), [(3, 5), (9, 11)])
    def test_the_size_is_exact(self, size: int, first_too_many: int) -> None:
        """Reactor: FluxOnBackpressureBufferTest.gh1666_bufferThree,
        FluxOnBackpressureBufferTest.gh1666_bufferNine
        """
        overflown: list[int] = []
        flux = from_iterable(range(1, 101)).pipe(on_backpressure_buffer(size, overflown.append))
        subscribed(flux, 1).cancel().assert_values(1)
        assert overflown == [first_too_many]

    def test_a_size_below_one_is_refused(self) -> None:
        """Reactor: FluxOnBackpressureBufferTest.failNegativeHistory,
        FluxOnBackpressureBufferStrategyTest.fluxOnBackpressureBufferStrategyRequiresPositiveMaxSize
        """
        for size in (0, -1):
            with pytest.raises(ValueError, match="buffer_size must be at least 1"):
                on_backpressure_buffer(size)


def _noticing(produced: list[int]) -> Callable[[Any], Flux[int]]:
    from pipeline.reactive import map as flux_map

    return flux_map(lambda n: produced.append(n) or n)


class TestStrategies:
    """The buffer holds two; one record is wanted, three come on top of it."""

    def run(
        self, strategy: BufferOverflowStrategy, on_overflow: Callable[[Any], object] | None
    ) -> AssertSubscriber[str]:
        publisher = TestPublisher[str]()
        subscriber = subscribed(publisher.pipe(on_backpressure_buffer(2, on_overflow, strategy)), 1)
        for value in ("normal", "over1", "over2", "over3"):
            if publisher.subscribers:
                publisher.next(value)
        if publisher.subscribers:
            publisher.complete()
        subscriber.assert_values("normal").assert_not_terminated()
        return subscriber.request(3)

    def test_drop_latest_drops_what_comes(self) -> None:
        """Reactor: FluxOnBackpressureBufferStrategyTest.drop"""
        dropped: list[str] = []
        self.run(DROP_LATEST, dropped.append).assert_values("normal", "over1", "over2").assert_complete()
        assert dropped == ["over3"]

    def test_drop_oldest_drops_what_has_waited_longest(self) -> None:
        """Reactor: FluxOnBackpressureBufferStrategyTest.dropOldest"""
        dropped: list[str] = []
        self.run(DROP_OLDEST, dropped.append).assert_values("normal", "over2", "over3").assert_complete()
        assert dropped == ["over1"]

    def test_error_ends_the_stream_after_what_is_kept(self) -> None:
        """Reactor: FluxOnBackpressureBufferStrategyTest.error,
        FluxOnBackpressureBufferStrategyTest.bufferOverflowOverflowDelayedWithErrorStrategy
        """
        dropped: list[str] = []
        subscriber = self.run(ERROR, dropped.append)
        subscriber.assert_values("normal", "over1", "over2").assert_error(BackpressureOverflow, "buffer of 2")
        assert dropped == ["over3"]
        error = subscriber.errors[0]
        assert isinstance(error, BackpressureOverflow)
        assert error.retryable

    def test_error_needs_no_callback(self, lost: Lost) -> None:
        """Reactor: FluxOnBackpressureBufferStrategyTest.noCallbackWithErrorStrategyOverflowsAfterDrain"""
        self.run(ERROR, None).assert_values("normal", "over1", "over2").assert_error(BackpressureOverflow)
        assert lost.discarded == ["over3"]

    def test_drop_latest_needs_no_callback(self, lost: Lost) -> None:
        """Reactor: FluxOnBackpressureBufferStrategyTest.noCallbackWithDropStrategyNoError,
        FluxOnBackpressureBufferStrategyTest.fluxOnBackpressureBufferStrategyRequiresCallback
        """
        self.run(DROP_LATEST, None).assert_values("normal", "over1", "over2").assert_complete()
        assert lost.discarded == ["over3"]

    def test_drop_oldest_needs_no_callback(self, lost: Lost) -> None:
        """Reactor: FluxOnBackpressureBufferStrategyTest.noCallbackWithDropOldestStrategyNoError"""
        self.run(DROP_OLDEST, None).assert_values("normal", "over2", "over3").assert_complete()
        assert lost.discarded == ["over1"]

    @pytest.mark.parametrize(
        ("strategy", "kept"),
        [
            (DROP_LATEST, ["over1", "over2"]),
            (DROP_OLDEST, ["over2", "over3"]),
            (ERROR, ["over1", "over2"]),
        ],
    )
    def test_a_callback_that_raises_ends_the_stream_after_what_is_kept(
        self, strategy: BufferOverflowStrategy, kept: list[str]
    ) -> None:
        """Reactor: FluxOnBackpressureBufferStrategyTest.dropCallbackError,
        FluxOnBackpressureBufferStrategyTest.dropOldestCallbackError,
        FluxOnBackpressureBufferStrategyTest.errorCallbackError
        """
        self.run(strategy, boom).assert_values("normal", *kept).assert_error(RuntimeError, "boom")

    @pytest.mark.parametrize(
        ("strategy", "last", "then"),
        [
            (ERROR, 16, list(range(8, 16))),
            (DROP_OLDEST, 92, list(range(93, 101))),
            (DROP_LATEST, 100, list(range(8, 16))),
        ],
    )
    def test_a_source_of_a_hundred(
        self, strategy: BufferOverflowStrategy, last: int, then: list[int]
    ) -> None:
        """Reactor: FluxOnBackpressureBufferStrategyTest.onBackpressureBufferMaxCallbackOverflowError,
        FluxOnBackpressureBufferStrategyTest.onBackpressureBufferMaxCallbackOverflowDropOldest,
        FluxOnBackpressureBufferStrategyTest.onBackpressureBufferMaxCallbackOverflowDropLatest
        """
        overflown: list[int] = []
        flux = from_iterable(range(1, 101)).pipe(on_backpressure_buffer(8, overflown.append, strategy))
        subscriber = subscribed(flux, 7).assert_values(*range(1, 8))
        assert overflown[-1] == last
        subscriber.request(9).assert_values(*range(1, 8), *then)
        if strategy is ERROR:
            subscriber.assert_error(BackpressureOverflow)
        else:
            subscriber.assert_complete()

    @pytest.mark.parametrize("strategy", [DROP_LATEST, DROP_OLDEST])
    def test_upstreams_error_is_immediate_where_nobody_is_notified_of_drops(
        self, lost: Lost, strategy: BufferOverflowStrategy
    ) -> None:
        publisher = TestPublisher[str]()
        subscriber = subscribed(publisher.pipe(on_backpressure_buffer(2, None, strategy)))
        publisher.next("a", "b").error(OSError("lost"))
        subscriber.assert_no_values().assert_error(OSError)
        assert lost.discarded == ["a", "b"]

    def test_upstreams_error_waits_where_somebody_does(self) -> None:
        publisher = TestPublisher[str]()
        told = on_backpressure_buffer(2, print, DROP_LATEST)
        subscriber = subscribed(publisher.pipe(told))
        publisher.next("a", "b").error(OSError("lost"))
        subscriber.assert_not_terminated().request(2).assert_values("a", "b").assert_error(OSError)

    def test_a_strategy_is_one_of_three(self) -> None:
        """Reactor: FluxOnBackpressureBufferStrategyTest.fluxOnBackpressureBufferStrategyRequiresStrategy"""
        with pytest.raises(ValueError, match="SOMETIMES"):
            on_backpressure_buffer(2, strategy="SOMETIMES")
        with pytest.raises(ValueError, match="a strategy needs a buffer_size"):
            on_backpressure_buffer(strategy=DROP_LATEST)

    @pytest.mark.parametrize("strategy", [DROP_LATEST, DROP_OLDEST])
    def test_batches_are_bounded_record_by_record(self, strategy: BufferOverflowStrategy) -> None:
        dropped: list[int] = []
        flux = from_iterable(range(10), batch_size=10).pipe(
            on_backpressure_buffer(3, dropped.append, strategy)
        )
        subscriber = subscribed(flux, 2).assert_values(0, 1)
        kept = [2, 3, 4] if strategy is DROP_LATEST else [7, 8, 9]
        subscriber.request(5).assert_values(0, 1, *kept).assert_complete()
        assert sorted([*subscriber.values, *dropped]) == list(range(10))


class TestByAge:
    @pytest.fixture
    def evicted(self) -> list[int]:
        return []

    @pytest.fixture
    def scheduler(self) -> TestScheduler:
        return TestScheduler()

    @pytest.mark.parametrize("size", [None, 10])
    @pytest.mark.parametrize("rate", [None, 1])
    def test_what_is_wanted_passes(
        self, evicted: list[int], scheduler: TestScheduler, size: int | None, rate: int | None
    ) -> None:
        """Reactor: FluxOnBackpressureBufferTimeoutTest.normal1, FluxOnBackpressureBufferTimeoutTest.normal2,
        FluxOnBackpressureBufferTimeoutTest.normal3, FluxOnBackpressureBufferTimeoutTest.normal4,
        FluxOnBackpressureBufferTimeoutTest.normal1SingleStep,
        FluxOnBackpressureBufferTimeoutTest.normal2SingleStep,
        FluxOnBackpressureBufferTimeoutTest.normal3SingleStep,
        FluxOnBackpressureBufferTimeoutTest.normal4SingleStep
        """
        flux = from_iterable(range(1, 6)).pipe(
            on_backpressure_buffer(size, evicted.append, ttl=MINUTE, scheduler=scheduler)
        )
        subscriber = subscribed(flux.pipe(limit_rate(rate)) if rate else flux, 10)
        subscriber.assert_values(1, 2, 3, 4, 5).assert_complete()
        assert evicted == []

    def test_the_oldest_of_a_full_buffer_is_dropped(
        self, evicted: list[int], scheduler: TestScheduler
    ) -> None:
        """Reactor: FluxOnBackpressureBufferTimeoutTest.bufferLimit"""
        aging = on_backpressure_buffer(1, evicted.append, ttl=MINUTE, scheduler=scheduler)
        subscriber = subscribed(from_iterable(range(1, 6)).pipe(aging))
        subscriber.assert_not_terminated().request(1).assert_values(5).assert_complete()
        assert evicted == [1, 2, 3, 4]

    def test_each_waits_no_longer_than_its_time(self, evicted: list[int], scheduler: TestScheduler) -> None:
        """Reactor: FluxOnBackpressureBufferTimeoutTest.timeoutLimit"""
        publisher = TestPublisher[int]()
        aging = on_backpressure_buffer(1, evicted.append, ttl=SECOND, scheduler=scheduler)
        subscriber = subscribed(publisher.pipe(aging))
        for value in range(1, 6):
            publisher.next(value)
            scheduler.advance_by(0.5)
        publisher.complete()
        subscriber.request(1).assert_values(5).assert_complete()
        assert evicted == [1, 2, 3, 4]

    def test_a_cancel_evicts_all(self, evicted: list[int], scheduler: TestScheduler) -> None:
        """Reactor: FluxOnBackpressureBufferTimeoutTest.cancelEvictAll"""
        aging = on_backpressure_buffer(None, evicted.append, ttl=MINUTE, scheduler=scheduler)
        subscribed(from_iterable(range(1, 6)).pipe(aging)).cancel()
        assert evicted == [1, 2, 3, 4, 5]

    def test_time_evicts_all_and_the_end_follows(self, evicted: list[int], scheduler: TestScheduler) -> None:
        """Reactor: FluxOnBackpressureBufferTimeoutTest.timeoutEvictAll"""
        aging = on_backpressure_buffer(None, evicted.append, ttl=SECOND, scheduler=scheduler)
        subscriber = subscribed(from_iterable(range(1, 6)).pipe(aging))
        scheduler.advance_by(0.999)
        assert evicted == []
        scheduler.advance_by(0.001)
        assert evicted == [1, 2, 3, 4, 5]
        subscriber.assert_no_values().assert_complete()

    def test_the_callback_may_cancel_upstream(self, scheduler: TestScheduler) -> None:
        """Reactor: FluxOnBackpressureBufferTimeoutTest.evictCancels"""
        publisher = TestPublisher[int]()
        evicted: list[int] = []

        def evict(value: int) -> None:
            evicted.append(value)
            subscriber.subscription.cancel()

        aging = on_backpressure_buffer(10, evict, ttl=SECOND, scheduler=scheduler)
        subscriber = subscribed(publisher.pipe(aging))
        publisher.next(1, 2, 3, 4, 5)
        scheduler.advance_by(60)
        publisher.assert_cancelled(1)
        assert evicted == [1, 2, 3, 4, 5]

    def test_a_callback_that_raises_does_not_end_the_stream(
        self, lost: Lost, scheduler: TestScheduler
    ) -> None:
        """Reactor: FluxOnBackpressureBufferTimeoutTest.evictThrows"""
        publisher = TestPublisher[int]()
        aging = on_backpressure_buffer(10, boom, ttl=SECOND, scheduler=scheduler)
        subscriber = subscribed(publisher.pipe(aging))
        publisher.emit(1, 2, 3, 4, 5)
        scheduler.advance_by(60)
        subscriber.request(1).assert_no_values().assert_complete()
        assert [str(error) for error in lost.errors] == ["boom"] * 5

    def test_a_cancel_in_on_next_stops_it(self, evicted: list[int], scheduler: TestScheduler) -> None:
        """Reactor: FluxOnBackpressureBufferTimeoutTest.cancelAndRequest"""
        aging = on_backpressure_buffer(None, evicted.append, ttl=MINUTE, scheduler=scheduler)
        subscriber = AssertSubscriber[int](1, lambda subscriber, _: subscriber.cancel())
        from_iterable(range(1, 6)).pipe(aging).subscribe(subscriber)
        subscriber.assert_values(1)
        subscriber.request(5).assert_values(1)

    def test_size_and_age_both_evict(self, evicted: list[int], scheduler: TestScheduler) -> None:
        """Reactor: FluxOnBackpressureBufferTimeoutTest.dropBySizeAndTimeout"""
        publisher = TestPublisher[int]()
        ttl = timedelta(milliseconds=600)
        aging = on_backpressure_buffer(5, evicted.append, ttl=ttl, scheduler=scheduler)
        subscriber = subscribed(publisher.pipe(aging))
        publisher.next(*range(1, 8))
        assert evicted == [1, 2]
        scheduler.advance_by(0.5)
        publisher.emit(8, 9, 10)
        scheduler.advance_by(0.1)
        assert evicted == [1, 2, 3, 4, 5, 6, 7]
        subscriber.request(10).assert_values(8, 9, 10).assert_complete()

    def test_an_error_comes_after_what_is_kept(self, evicted: list[int], scheduler: TestScheduler) -> None:
        """Reactor: FluxOnBackpressureBufferTimeoutTest.errorDelayed"""
        publisher = TestPublisher[int]()
        aging = on_backpressure_buffer(None, evicted.append, ttl=MINUTE, scheduler=scheduler)
        subscriber = subscribed(publisher.pipe(aging))
        publisher.next(1).error(OSError("lost"))
        subscriber.assert_not_terminated().request(1).assert_values(1).assert_error(OSError)

    def test_the_oldest_is_gone_before_it_is_asked_for(
        self, evicted: list[int], scheduler: TestScheduler
    ) -> None:
        """Reactor: FluxOnBackpressureBufferTimeoutTest.gh1194

        A request that comes when the time is up gets what is left.
        """
        aging = on_backpressure_buffer(None, evicted.append, ttl=SECOND, scheduler=scheduler)
        subscriber = subscribed(from_iterable(range(1, 4)).pipe(aging), 1).assert_values(1)
        scheduler.advance_by(1)
        subscriber.request(5).assert_values(1).assert_complete()
        assert evicted == [2, 3]

    def test_what_cannot_be_meant_is_refused(self) -> None:
        with pytest.raises(ValueError, match="ttl must be positive"):
            on_backpressure_buffer(ttl=timedelta(0))
        with pytest.raises(ValueError, match="the oldest record is dropped"):
            on_backpressure_buffer(3, strategy=DROP_LATEST, ttl=SECOND)
