"""Sinks.unicast: one subscriber, which may come later, and a bounded or unbounded queue for it."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import EmissionError, EmitResult, Sink, Sinks, busy_looping, hooks
from pipeline.reactive.sinks.unicast import AlreadySubscribed
from pipeline.testing import AssertSubscriber, StepVerifier
from tests.racing import race


class TestQueue:
    def test_what_comes_before_the_subscriber_waits_for_it(self) -> None:
        sink: Sink[int] = Sinks.unicast()
        assert [sink.try_emit_next(n) for n in (1, 2, 3)] == [EmitResult.OK] * 3
        subscriber = AssertSubscriber[int](2)
        sink.flux.subscribe(subscriber)
        subscriber.assert_values(1, 2).request(1)
        subscriber.assert_values(1, 2, 3).assert_not_terminated()

    def test_a_bounded_queue_overflows(self) -> None:
        """Reactor: SinkManyUnicastTest.tryEmitNextWithBoundedQueueAndNoRequestFailsWithOverflow"""
        sink: Sink[str] = Sinks.unicast(buffer_size=1)
        subscriber = AssertSubscriber[str](0)
        sink.flux.subscribe(subscriber)
        assert sink.try_emit_next("a") is EmitResult.OK
        assert sink.try_emit_next("b") is EmitResult.FAIL_OVERFLOW
        subscriber.request(1)
        assert sink.try_emit_next("c") is EmitResult.OK
        subscriber.assert_values("a").request(9)
        subscriber.assert_values("a", "c")

    def test_an_overflow_that_nobody_handles_ends_the_stream(self) -> None:
        discarded: list[Any] = []
        sink: Sink[str] = Sinks.unicast(buffer_size=1)
        subscriber = AssertSubscriber[str](0)
        sink.flux.subscribe(subscriber)
        with hooks.listening(hooks.Hooks(discarded=discarded.append)):
            sink.emit_next("a")
            sink.emit_next("b")
        subscriber.request(9).assert_values("a").assert_error(BackpressureOverflow)
        assert discarded == ["b"]

    @pytest.mark.parametrize("size", [0, -1])
    def test_a_bound_must_be_positive(self, size: int) -> None:
        with pytest.raises(ValueError, match="buffer_size"):
            Sinks.unicast(size)


class TestSubscribers:
    def test_a_second_one_is_refused_and_the_first_unharmed(self) -> None:
        """Reactor: SinkManyUnicastTest.secondSubscriberRejectedProperly"""
        sink: Sink[int] = Sinks.unicast()
        first, second = AssertSubscriber[int](), AssertSubscriber[int]()
        sink.flux.subscribe(first)
        sink.flux.subscribe(second)
        second.assert_no_values().assert_error(AlreadySubscribed, "one subscriber")
        sink.try_emit_next(1)
        first.assert_values(1).assert_not_terminated()
        assert sink.subscribers == 1

    def test_a_cancel_ends_the_sink_and_discards_what_waits(self) -> None:
        discarded: list[Any] = []
        ended: list[bool] = []
        sink: Sink[int] = Sinks.unicast(on_end=lambda: ended.append(True))
        subscriber = AssertSubscriber[int](1)
        sink.flux.subscribe(subscriber)
        for number in (1, 2, 3):
            sink.try_emit_next(number)
        with hooks.listening(hooks.Hooks(discarded=discarded.append)):
            subscriber.cancel()
            assert sink.try_emit_next(4) is EmitResult.FAIL_CANCELLED
            sink.emit_next(5)
        assert discarded == [2, 3, 5]
        assert sink.try_emit_complete() is EmitResult.FAIL_CANCELLED
        assert ended == [True]
        assert sink.subscribers == 0


class TestEnds:
    def test_the_end_comes_after_what_waits(self) -> None:
        sink: Sink[int] = Sinks.unicast()
        subscriber = AssertSubscriber[int](1)
        sink.flux.subscribe(subscriber)
        sink.try_emit_next(1)
        sink.try_emit_next(2)
        assert sink.try_emit_error(RuntimeError("boom")) is EmitResult.OK
        subscriber.assert_values(1).assert_not_terminated().request(1)
        subscriber.assert_values(1, 2).assert_error(RuntimeError, "boom")

    def test_after_it_signals_are_refused_and_reported(self) -> None:
        dropped: list[Any] = []
        errors: list[Exception] = []
        ended: list[bool] = []
        sink: Sink[int] = Sinks.unicast(on_end=lambda: ended.append(True))
        sink.emit_complete()
        assert sink.try_emit_next(1) is EmitResult.FAIL_TERMINATED
        assert sink.try_emit_complete() is EmitResult.FAIL_TERMINATED
        assert sink.try_emit_error(RuntimeError()) is EmitResult.FAIL_TERMINATED
        with hooks.listening(hooks.Hooks(dropped=dropped.append, dropped_error=errors.append)):
            sink.emit_next(2)
            sink.emit_error(RuntimeError("late"))
            sink.emit_complete()
        assert dropped == [2]
        assert [str(error) for error in errors] == ["late"]
        assert ended == [True]

    def test_none_is_refused(self) -> None:
        with pytest.raises(TypeError, match=r"2\.13"):
            Sinks.unicast().try_emit_next(None)


class TestWithoutQueue:
    def test_what_is_not_asked_for_overflows(self) -> None:
        """Reactor: SinkManyUnicastNoBackpressureTest.noRequest"""
        sink: Sink[str] = Sinks.unicast_on_backpressure_error()
        (
            StepVerifier.create(sink.flux, 0)
            .expect_subscription()
            .then(lambda: _is(sink.try_emit_next("a"), EmitResult.FAIL_OVERFLOW))
            .then_request(1)
            .then(lambda: _is(sink.try_emit_next("b"), EmitResult.OK))
            .expect_next("b")
            .then(lambda: _is(sink.try_emit_next("c"), EmitResult.FAIL_OVERFLOW))
            .then(sink.try_emit_complete)
            .verify_complete()
        )

    def test_without_a_subscriber_nothing_is_taken(self) -> None:
        sink: Sink[str] = Sinks.unicast_on_backpressure_error()
        assert sink.try_emit_next("a") is EmitResult.FAIL_ZERO_SUBSCRIBER


class TestThreads:
    def test_several_that_emit_at_once_lose_nothing(self) -> None:
        """Reactor: SinkManyUnicastTest.multiThreadedProducer"""
        sink: Sink[tuple[int, int]] = Sinks.unicast()
        subscriber = AssertSubscriber[tuple[int, int]]()
        sink.flux.subscribe(subscriber)

        def emit(producer: int) -> None:
            for number in range(2_000):
                sink.emit_next((producer, number), busy_looping(timedelta(seconds=30)))

        race(*(lambda producer=producer: emit(producer) for producer in range(3)))
        sink.emit_complete()
        values = subscriber.assert_complete().assert_protocol().values
        for producer in range(3):
            assert [n for p, n in values if p == producer] == list(range(2_000))

    def test_emission_races_with_demand(self) -> None:
        """What one thread emits and another asks for comes once each, in order, and never too much."""
        sink: Sink[int] = Sinks.unicast()
        subscriber = AssertSubscriber[int](0)
        sink.flux.subscribe(subscriber)

        def emit() -> None:
            for number in range(5_000):
                sink.emit_next(number)

        def ask() -> None:
            for _ in range(5_000):
                subscriber.request(1)

        race(emit, ask)
        assert subscriber.assert_protocol().values == list(range(5_000))

    def test_one_that_emits_from_within_on_next_may(self) -> None:
        sink: Sink[int] = Sinks.unicast()
        results: list[EmitResult] = []

        def echo(_: AssertSubscriber[int], value: int) -> None:
            if value < 1_000:
                results.append(sink.try_emit_next(value + 1))

        subscriber = AssertSubscriber[int](on_next=echo)
        sink.flux.subscribe(subscriber)
        sink.try_emit_next(0)
        assert subscriber.assert_protocol().values == list(range(1_001))
        assert set(results) == {EmitResult.OK}


class TestHandlers:
    def test_it_is_tried_again_while_another_thread_emits(self) -> None:
        """Reactor: SinksTest.shouldRetryOptimistically"""
        sink: Sink[int] = Sinks.unicast()
        results: list[EmitResult] = []

        def let_go_at_the_third(result: EmitResult) -> bool:
            results.append(result)
            if len(results) == 3:
                other.let_go()
            return True

        other = _Emitting(sink)
        sink.emit_next(1, let_go_at_the_third)
        assert results == [EmitResult.FAIL_NON_SERIALIZED] * 3
        other.subscriber.assert_values(0, 1)

    def test_giving_up_raises(self) -> None:
        sink: Sink[int] = Sinks.unicast()
        other = _Emitting(sink)
        try:
            assert sink.try_emit_next(1) is EmitResult.FAIL_NON_SERIALIZED
            with pytest.raises(EmissionError) as raised:
                sink.emit_next(1)
            assert raised.value.result is EmitResult.FAIL_NON_SERIALIZED
            assert raised.value.retryable
            for emit in (sink.emit_complete, lambda: sink.emit_error(RuntimeError())):
                with pytest.raises(EmissionError):
                    emit()
        finally:
            other.let_go()

    def test_looping_ends_with_its_time(self) -> None:
        now = iter([0.0, 0.5, 1.0])
        handler = busy_looping(timedelta(seconds=1), lambda: next(now))
        assert not handler(EmitResult.FAIL_OVERFLOW)
        assert handler(EmitResult.FAIL_NON_SERIALIZED)
        assert not handler(EmitResult.FAIL_NON_SERIALIZED)

    def test_a_result_may_be_raised(self) -> None:
        EmitResult.OK.or_raise()
        with pytest.raises(EmissionError, match="FAIL_CANCELLED"):
            EmitResult.FAIL_CANCELLED.or_raise()


class _Emitting:
    """Another thread in the midst of emitting a 0: its subscriber does not return until it is let go."""

    def __init__(self, sink: Sink[int]) -> None:
        self._inside = threading.Event()
        self._let_go = threading.Event()
        self.subscriber = AssertSubscriber[int](on_next=self._stay)
        sink.flux.subscribe(self.subscriber)
        self._thread = threading.Thread(target=lambda: sink.emit_next(0), name="emitting", daemon=True)
        self._thread.start()
        assert self._inside.wait(10)

    def let_go(self) -> None:
        self._let_go.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _stay(self, _: AssertSubscriber[int], value: int) -> None:
        if value == 0:
            self._inside.set()
            assert self._let_go.wait(10)


def _is(found: object, expected: object) -> None:
    assert found is expected
