"""Sinks.multicast…: one record for all, at the pace of the slowest or of each."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.reactive import EmitResult, Sink, Sinks, hooks
from pipeline.testing import AssertSubscriber
from tests.racing import race

DIRECT = [Sinks.multicast_all_or_nothing, Sinks.multicast_best_effort]
ALL = [*DIRECT, Sinks.multicast]


def subscribed(sink: Sink[Any], *requests: int) -> list[AssertSubscriber[Any]]:
    subscribers = [AssertSubscriber[Any](n) for n in requests]
    for subscriber in subscribers:
        sink.flux.subscribe(subscriber)
    return subscribers


class TestBestEffort:
    def test_the_slow_one_misses_what_the_other_gets(self) -> None:
        """Reactor: SinkManyBestEffortTest.halfReceivedWhenSlowSubscriber"""
        sink = Sinks.multicast_best_effort()
        slow, fast = subscribed(sink, 0, 10)
        assert sink.try_emit_next("a") is EmitResult.OK
        fast.assert_values("a")
        slow.assert_no_values().request(1)
        slow.assert_no_values()

    def test_it_overflows_if_nobody_has_room(self) -> None:
        sink = Sinks.multicast_best_effort()
        subscribers = subscribed(sink, 0, 0)
        assert sink.try_emit_next("a") is EmitResult.FAIL_OVERFLOW
        assert not any(subscriber.values for subscriber in subscribers)

    def test_nobody_is_there(self) -> None:
        """Reactor: SinkManyBestEffortTest.tryEmitNextNoSubscribers"""
        sink = Sinks.multicast_best_effort()
        assert sink.try_emit_next("a") is EmitResult.FAIL_ZERO_SUBSCRIBER


class TestAllOrNothing:
    def test_nobody_gets_what_one_has_no_room_for(self) -> None:
        """Reactor: SinkManyBestEffortTest.noneReceivedWhenSlowSubscriber"""
        sink = Sinks.multicast_all_or_nothing()
        slow, fast = subscribed(sink, 1, 10)
        assert sink.try_emit_next("a") is EmitResult.OK
        assert sink.try_emit_next("b") is EmitResult.FAIL_OVERFLOW
        slow.assert_values("a")
        fast.assert_values("a")

    def test_they_continue_when_there_is_room_again(self) -> None:
        """Reactor: SinkManyBestEffortTest.downstreamStillUsableAfterBackpressure"""
        sink = Sinks.multicast_all_or_nothing()
        slow, fast = subscribed(sink, 0, 10)
        assert sink.try_emit_next("a") is EmitResult.FAIL_OVERFLOW
        slow.request(1)
        assert sink.try_emit_next("b") is EmitResult.OK
        slow.assert_values("b").assert_not_terminated()
        fast.assert_values("b").assert_not_terminated()

    def test_who_cancels_while_demand_is_counted_does_not_count(self) -> None:
        """Reactor: SinkManyBestEffortTest.allCancelledDuringRequestAccountingLoopIsIgnored"""
        sink = Sinks.multicast_all_or_nothing()
        first, second = subscribed(sink, 1, 0)
        second.cancel()
        assert sink.try_emit_next("a") is EmitResult.OK
        first.assert_values("a").cancel()
        assert sink.try_emit_next("b") is EmitResult.FAIL_ZERO_SUBSCRIBER


class TestBuffered:
    def test_the_slowest_sets_the_pace(self) -> None:
        sink = Sinks.multicast(buffer_size=2)
        slow, fast = subscribed(sink, 1, 10)
        results = [sink.try_emit_next(n) for n in range(4)]
        assert results == [EmitResult.OK] * 3 + [EmitResult.FAIL_OVERFLOW]
        slow.assert_values(0)
        fast.assert_values(0)
        slow.request(1)
        fast.assert_values(0, 1)

    def test_the_first_gets_what_came_before_it(self) -> None:
        sink = Sinks.multicast(buffer_size=2)
        results = [sink.try_emit_next(n) for n in range(3)]
        assert results == [EmitResult.OK] * 2 + [EmitResult.FAIL_ZERO_SUBSCRIBER]
        (first,) = subscribed(sink, 10)
        (second,) = subscribed(sink, 10)
        sink.try_emit_next(3)
        first.assert_values(0, 1, 3)
        second.assert_values(3)

    def test_the_end_waits_for_the_slowest(self) -> None:
        sink = Sinks.multicast()
        slow, fast = subscribed(sink, 0, 10)
        sink.try_emit_next(1)
        assert sink.try_emit_complete() is EmitResult.OK
        fast.assert_not_terminated()
        slow.request(1)
        slow.assert_values(1).assert_complete()
        fast.assert_values(1).assert_complete()

    def test_it_ends_with_its_last_subscriber(self) -> None:
        discarded: list[Any] = []
        sink = Sinks.multicast()
        first, second = subscribed(sink, 0, 0)
        sink.try_emit_next(1)
        first.cancel()
        assert sink.try_emit_next(2) is EmitResult.OK
        with hooks.listening(hooks.Hooks(discarded=discarded.append)):
            second.cancel()
        assert discarded == [1, 2]
        assert sink.try_emit_next(3) is EmitResult.FAIL_CANCELLED
        assert sink.try_emit_complete() is EmitResult.FAIL_CANCELLED

    def test_or_waits_for_the_next_one(self) -> None:
        sink = Sinks.multicast(auto_cancel=False)
        (first,) = subscribed(sink, 0)
        first.cancel()
        assert sink.try_emit_next(1) is EmitResult.OK
        (second,) = subscribed(sink, 1)
        second.assert_values(1)

    def test_the_slow_one_leaving_lets_the_others_continue(self) -> None:
        sink = Sinks.multicast()
        slow, fast = subscribed(sink, 0, 10)
        sink.try_emit_next(1)
        slow.cancel()
        fast.assert_values(1)

    def test_a_bound_must_be_positive(self) -> None:
        with pytest.raises(ValueError, match="buffer_size must be at least 1"):
            Sinks.multicast(0)


@pytest.mark.parametrize("make", ALL)
class TestEach:
    def test_the_end_reaches_all_and_who_comes_later(self, make: Callable[[], Sink[Any]]) -> None:
        sink = make()
        subscribers = subscribed(sink, 0, 1)
        assert sink.try_emit_error(RuntimeError("boom")) is EmitResult.OK
        assert sink.try_emit_next(1) is EmitResult.FAIL_TERMINATED
        for subscriber in [*subscribers, *subscribed(sink, 0)]:
            subscriber.assert_no_values().assert_error(RuntimeError, "boom")

    def test_a_request_that_breaks_rule_3_9_ends_that_subscriber_only(
        self, make: Callable[[], Sink[Any]]
    ) -> None:
        sink = make()
        bad, good = subscribed(sink, 0, 10)
        bad.request(-1)
        bad.assert_error(ValueError, "3.9")
        assert sink.try_emit_next(1) is EmitResult.OK
        good.assert_values(1)
        assert sink.subscribers == 1

    def test_who_has_left_is_let_go_of(self, make: Callable[[], Sink[Any]]) -> None:
        sink = make()
        subscriber = AssertSubscriber[Any](1)
        disposable = sink.flux.subscribe(subscriber)
        sink.try_emit_next(1)
        disposable.dispose()
        reference = weakref.ref(subscriber)
        del subscriber, disposable
        gc.collect()
        assert reference() is None

    def test_those_that_come_and_go_meanwhile_get_no_record_twice(
        self, make: Callable[[], Sink[Any]]
    ) -> None:
        """One thread emits, one subscribes and cancels, one requests: each gets an ascending sequence."""
        sink = make()
        (staying,) = subscribed(sink, 0)
        passing: list[AssertSubscriber[Any]] = []

        def emit() -> None:
            for number in range(2_000):
                sink.try_emit_next(number)

        def come_and_go() -> None:
            for _ in range(300):
                (one,) = subscribed(sink, 5)
                passing.append(one)
                one.cancel()

        def ask() -> None:
            for _ in range(2_000):
                staying.request(2)

        race(emit, come_and_go, ask)
        for subscriber in [staying, *passing]:
            values = subscriber.assert_protocol().values
            assert values == sorted(set(values))
