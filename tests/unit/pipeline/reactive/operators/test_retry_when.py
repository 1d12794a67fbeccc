"""retry_when and backoff: again after an error, when and as often as another stream says."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from reactivex.internal.exceptions import DisposedException
from reactivex.scheduler import EventLoopScheduler, VirtualTimeScheduler

from pipeline.core.restart import RestartStrategy
from pipeline.reactive import Flux, backoff, from_iterable, retry_when
from pipeline.reactive import map as mapped
from pipeline.testing import AssertSubscriber, TestPublisher


class Failing:
    """A stream of 0, 1 that then fails, the first `times` times; then of 0, 1, 2."""

    def __init__(self, times: int) -> None:
        self.tries = 0
        self._times = times

    def flux(self) -> Flux[int]:
        def value(number: int) -> int:
            if number == 0:
                self.tries += 1
            if number == 2 and self.tries <= self._times:
                raise RuntimeError(f"try {self.tries}")
            return number

        return from_iterable([0, 1, 2]).pipe(mapped(value))


def exponential(attempts: int = 0, jitter: float = 0.0) -> RestartStrategy:
    second = timedelta(seconds=1)
    return RestartStrategy.exponential(
        second, 8 * second, jitter=jitter, reset_after=60 * second, attempts=attempts
    )


class TestRetryWhen:
    def test_each_record_of_the_companion_is_a_new_try(self) -> None:
        decisions = TestPublisher[str]()
        source = Failing(2)
        subscriber = AssertSubscriber[int]()
        source.flux().pipe(retry_when(lambda _: decisions)).subscribe(subscriber)
        subscriber.assert_values(0, 1).assert_not_terminated()
        decisions.next("again")
        subscriber.assert_values(0, 1, 0, 1)
        decisions.next("again")
        subscriber.assert_values(0, 1, 0, 1, 0, 1, 2).assert_complete()
        decisions.assert_cancelled(1)

    def test_what_has_not_come_is_asked_for_again(self) -> None:
        tries = [TestPublisher[int](), TestPublisher[int]()]
        left = list(tries)
        decisions = TestPublisher[str]()
        subscriber = AssertSubscriber[int](5)
        source = Flux[int](lambda each: left.pop(0).connect(each))
        source.pipe(retry_when(lambda _: decisions)).subscribe(subscriber)
        tries[0].next(1, 2).error(RuntimeError("boom"))
        subscriber.request(4)
        decisions.next("again")
        assert tries[0].requests == [5]
        assert tries[1].requests == [7]
        tries[1].next_batch([3, 4])
        subscriber.assert_values(1, 2, 3, 4)

    def test_the_companion_gets_each_error(self) -> None:
        told: list[str] = []

        def again(errors: Flux[Exception]) -> Flux[Exception]:
            return errors.pipe(mapped(lambda error: (told.append(str(error)), error)[1]))

        subscriber = AssertSubscriber[int]()
        Failing(3).flux().pipe(retry_when(again)).subscribe(subscriber)
        assert told == ["try 1", "try 2", "try 3"]
        subscriber.assert_complete()

    @pytest.mark.parametrize("error", [None, RuntimeError("enough")])
    def test_its_end_is_the_end(self, error: Exception | None) -> None:
        decisions = TestPublisher[str]()
        subscriber = AssertSubscriber[int]()
        Failing(1).flux().pipe(retry_when(lambda _: decisions)).subscribe(subscriber)
        if error is None:
            decisions.complete()
            subscriber.assert_complete()
        else:
            decisions.error(error)
            subscriber.assert_error(RuntimeError, "enough")

    def test_its_end_in_the_midst_of_a_try_stops_that(self) -> None:
        source, decisions = TestPublisher[int](), TestPublisher[str]()
        subscriber = AssertSubscriber[int]()
        source.pipe(retry_when(lambda _: decisions)).subscribe(subscriber)
        decisions.next("unasked").complete()
        assert source.subscribed == 1
        source.assert_cancelled(1)
        subscriber.assert_complete()

    def test_what_makes_the_companion_may_raise(self) -> None:
        def broken(_: Flux[Exception]) -> Any:
            raise RuntimeError("boom")

        subscriber = AssertSubscriber[int]()
        Failing(0).flux().pipe(retry_when(broken)).subscribe(subscriber)
        subscriber.assert_no_values().assert_error(RuntimeError, "boom")

    def test_a_cancel_reaches_both(self) -> None:
        source, decisions = TestPublisher[int](), TestPublisher[str]()
        subscriber = AssertSubscriber[int]()
        source.pipe(retry_when(lambda _: decisions)).subscribe(subscriber)
        subscriber.cancel()
        source.assert_cancelled(1)
        decisions.assert_cancelled(1)

    def test_a_request_that_breaks_rule_3_9_is_not_tried_again(self) -> None:
        subscriber = AssertSubscriber[int](0)
        source = Failing(0)
        source.flux().pipe(retry_when(lambda errors: errors)).subscribe(subscriber)
        subscriber.request(-3)
        subscriber.assert_error(ValueError, "3.9")

    def test_ten_thousand_tries_need_no_stack(self) -> None:
        source = Failing(10_000)
        subscriber = AssertSubscriber[int]()
        source.flux().pipe(retry_when(lambda errors: errors)).subscribe(subscriber)
        subscriber.assert_complete()
        assert source.tries == 10_001


class TestBackoff:
    def test_the_delay_doubles_up_to_its_maximum(self) -> None:
        assert self._times(exponential(), failures=6) == [0, 1, 3, 7, 15, 23, 31]

    def test_a_fixed_delay_stays(self) -> None:
        strategy = RestartStrategy.fixed_delay(5, timedelta(seconds=2))
        assert self._times(strategy, failures=3) == [0, 2, 4, 6]

    def test_jitter_varies_the_delay_within_its_share(self) -> None:
        times = self._times(exponential(jitter=0.5), failures=2, rng=random.Random(7))
        delays = [times[1] - times[0], times[2] - times[1]]
        assert delays != [1, 2]
        assert 0.5 <= delays[0] <= 1.5
        assert 1 <= delays[1] <= 3
        assert times == self._times(exponential(jitter=0.5), failures=2, rng=random.Random(7))

    def test_it_gives_up_with_the_last_error_and_says_so(self) -> None:
        scheduler = VirtualTimeScheduler()
        subscriber = AssertSubscriber[int]()
        source = Failing(9)
        source.flux().pipe(retry_when(backoff(exponential(attempts=2), scheduler))).subscribe(subscriber)
        scheduler.start()
        assert source.tries == 3
        subscriber.assert_error(RuntimeError, "try 3")
        assert "given up by retry_when" in subscriber.errors[0].__notes__[0]

    def test_a_healthy_time_begins_from_the_start(self) -> None:
        scheduler = VirtualTimeScheduler()
        errors, seen = TestPublisher[Exception](), AssertSubscriber[Exception]()
        errors.pipe(backoff(exponential(attempts=1), scheduler)).subscribe(seen)
        first, second = RuntimeError("first"), RuntimeError("second")
        errors.next(first)
        scheduler.advance_by(1)
        scheduler.advance_by(60)
        errors.next(second)
        scheduler.advance_by(1)
        seen.assert_values(first, second).assert_not_terminated()

    def test_a_cancel_stops_the_clock(self) -> None:
        scheduler = VirtualTimeScheduler()
        subscriber = AssertSubscriber[int]()
        source = Failing(1)
        source.flux().pipe(retry_when(backoff(exponential(), scheduler))).subscribe(subscriber)
        subscriber.cancel()
        scheduler.start()
        assert source.tries == 1

    def test_a_timer_that_is_rejected_ends_the_stream(self) -> None:
        scheduler = EventLoopScheduler()
        scheduler.dispose()
        subscriber = AssertSubscriber[int]()
        Failing(1).flux().pipe(retry_when(backoff(exponential(), scheduler))).subscribe(subscriber)
        subscriber.assert_error(DisposedException)
        assert str(subscriber.errors[0].__cause__) == "try 1"

    @staticmethod
    def _times(strategy: RestartStrategy, failures: int, rng: random.Random | None = None) -> list[float]:
        """Return when each try was made, in seconds of virtual time."""
        scheduler = VirtualTimeScheduler()
        times: list[float] = []

        def tried(number: int) -> int:
            times.append(scheduler.clock)
            if len(times) <= failures:
                raise RuntimeError("boom")
            return number

        stream = from_iterable([1]).pipe(mapped(tried), retry_when(backoff(strategy, scheduler, rng)))
        subscriber = AssertSubscriber[int]()
        stream.subscribe(subscriber)
        scheduler.start()
        subscriber.assert_complete()
        return times
