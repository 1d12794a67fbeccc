"""create and push: what an emitter puts into its sink, under each strategy."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import Flux, FluxSink, OverflowStrategy, create, push
from pipeline.reactive import take as taking
from pipeline.reactive.demand import UNBOUNDED
from pipeline.testing import AssertSubscriber
from tests.racing import switching_often
from tests.unit.pipeline.reactive.conftest import Lost

BUFFER, DROP, LATEST, ERROR, IGNORE = OverflowStrategy
EACH = pytest.mark.parametrize("overflow", list(OverflowStrategy))
MAKERS = pytest.mark.parametrize("make", [create, push])

Sink = FluxSink[Any]
Make = Callable[..., Flux[Any]]


def subscribed(flux: Flux[Any], n: int = UNBOUNDED) -> AssertSubscriber[Any]:
    subscriber = AssertSubscriber[Any](n)
    flux.subscribe(subscriber)
    return subscriber


def opened(make: Make = create, n: int = 0, overflow: str = "BUFFER") -> tuple[Sink, AssertSubscriber[Any]]:
    """Return the sink of a subscriber that has asked for `n`."""
    sinks: list[Sink] = []
    subscriber = subscribed(make(sinks.append, overflow), n)
    return sinks[0], subscriber


def three(sink: Sink) -> None:
    sink.next("test1").next("test2").next("test3").complete()


class Endings:
    """Counts what a sink tells of its end."""

    def __init__(self, sink: Sink) -> None:
        self.told: list[str] = []
        self._sink = sink
        sink.on_dispose(lambda: self.told.append(f"dispose, cancelled={sink.is_cancelled}"))
        sink.on_cancel(lambda: self.told.append(f"cancel, cancelled={sink.is_cancelled}"))


def in_threads(*work: Callable[[], object]) -> None:
    """Run all at once, and wait for them."""
    start = threading.Barrier(len(work))

    def run(function: Callable[[], object]) -> None:
        start.wait(10)
        function()

    threads = [threading.Thread(target=run, args=(function,), name="test-create") for function in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


@EACH
@MAKERS
class TestEachStrategy:
    def test_what_is_wanted_passes(self, make: Make, overflow: str) -> None:
        """Reactor: FluxCreateTest.fluxCreateBuffered, FluxCreateTest.fluxCreateLatest,
        FluxCreateTest.fluxCreateDrop, FluxCreateTest.fluxCreateError, FluxCreateTest.fluxCreateIgnore,
        FluxCreateTest.fluxCreateSerialized, FluxCreateTest.fluxPush
        """
        endings: list[Endings] = []

        def emitter(sink: Sink) -> None:
            endings.append(Endings(sink))
            three(sink)

        subscribed(make(emitter, overflow)).assert_values("test1", "test2", "test3").assert_complete()
        assert endings[0].told == ["dispose, cancelled=False"]

    def test_it_may_come_from_another_thread(self, make: Make, overflow: str) -> None:
        """Reactor: FluxCreateTest.fluxCreateBuffered2, FluxCreateTest.fluxCreateLatest2,
        FluxCreateTest.fluxCreateDrop2, FluxCreateTest.fluxCreateError2, FluxCreateTest.fluxCreateIgnore2,
        FluxCreateTest.fluxCreateSerialized2
        """
        sink, subscriber = opened(make, UNBOUNDED, overflow)
        in_threads(lambda: three(sink))
        subscriber.assert_values("test1", "test2", "test3").assert_complete()

    def test_an_error_comes_after_the_records(self, make: Make, overflow: str) -> None:
        """Reactor: FluxCreateTest.fluxCreateBufferedError, FluxCreateTest.fluxCreateLatestError,
        FluxCreateTest.fluxCreateDropError, FluxCreateTest.fluxCreateErrorError,
        FluxCreateTest.fluxCreateIgnoreError, FluxCreateTest.fluxCreateSerializedError
        """
        sink, subscriber = opened(make, UNBOUNDED, overflow)
        sink.next("test1").next("test2").error(OSError("test"))
        subscriber.assert_values("test1", "test2").assert_error(OSError, "test")

    def test_an_error_needs_no_demand(self, make: Make, overflow: str) -> None:
        """Reactor: FluxCreateTest.fluxCreateBufferedError2, FluxCreateTest.fluxCreateLatestError2,
        FluxCreateTest.fluxCreateDropError2, FluxCreateTest.fluxCreateErrorError2,
        FluxCreateTest.fluxCreateIgnoreError2, FluxCreateTest.fluxCreateSerializedError2
        """
        sink, subscriber = opened(make, 0, overflow)
        sink.error(OSError("test"))
        subscriber.assert_no_values().assert_error(OSError, "test")

    def test_it_may_be_empty(self, make: Make, overflow: str) -> None:
        """Reactor: FluxCreateTest.fluxCreateBufferedEmpty, FluxCreateTest.fluxCreateLatestEmpty,
        FluxCreateTest.fluxCreateDropEmpty, FluxCreateTest.fluxCreateErrorEmpty,
        FluxCreateTest.fluxCreateIgnoreEmpty, FluxCreateTest.fluxCreateSerializedEmpty
        """
        subscribed(make(lambda sink: sink.complete(), overflow), 0).assert_no_values().assert_complete()

    def test_a_cancel_runs_both_callbacks(self, make: Make, overflow: str) -> None:
        """Reactor: FluxCreateTest.fluxCreateBufferedCancelled, FluxCreateTest.fluxCreateLatestCancelled,
        FluxCreateTest.fluxCreateDropCancelled, FluxCreateTest.fluxCreateErrorCancelled,
        FluxCreateTest.fluxCreateIgnoreCancelled, FluxCreateTest.fluxCreateSerializedCancelled

        `on_cancel` first; the emitter sees at once that nothing more is wanted.
        """
        sinks: list[tuple[Sink, Endings]] = []

        def emitter(sink: Sink) -> None:
            sinks.append((sink, Endings(sink)))
            sink.next("test1").next("test2").next("test3")
            assert sink.is_cancelled
            sink.complete()

        subscriber = AssertSubscriber[Any](9, lambda probe, value: value == "test3" and probe.cancel())
        make(emitter, overflow).subscribe(subscriber)
        subscriber.assert_values("test1", "test2", "test3").assert_not_terminated()
        assert sinks[0][1].told == ["cancel, cancelled=True", "dispose, cancelled=True"]

    def test_it_keeps_what_its_strategy_promises(self, make: Make, overflow: str, lost: Lost) -> None:
        """Reactor: FluxCreateTest.fluxCreateBufferedBackpressured,
        FluxCreateTest.fluxCreateLatestBackpressured, FluxCreateTest.fluxCreateDropBackpressured,
        FluxCreateTest.fluxCreateErrorBackpressured, FluxCreateTest.fluxCreateIgnoreBackpressured,
        FluxCreateTest.fluxCreateSerializedBackpressured
        """
        sink, subscriber = opened(make, 1, overflow)
        assert sink.requested_from_downstream == 1
        three(sink)
        if overflow == IGNORE:
            assert subscriber.values == ["test1", "test2", "test3"]
            assert "rule 1.1: 'test2' came, 1 were requested" in subscriber.violations
            return
        subscriber.assert_values("test1")
        if overflow == ERROR:
            subscriber.assert_error(BackpressureOverflow)
            return
        subscriber.request(2)
        more = {BUFFER: ["test2", "test3"], LATEST: ["test3"], DROP: []}[OverflowStrategy(overflow)]
        subscriber.assert_values("test1", *more).assert_complete()
        assert sorted([*subscriber.values, *lost.discarded]) == ["test1", "test2", "test3"]

    def test_batches_are_treated_record_by_record(self, make: Make, overflow: str, lost: Lost) -> None:
        sink, subscriber = opened(make, 2, overflow)
        sink.next_batch([1, 2, 3, 4]).complete()
        wanted = {BUFFER: [1, 2, 3, 4], LATEST: [1, 2, 4], DROP: [1, 2], ERROR: [1, 2], IGNORE: [1, 2, 3, 4]}
        subscriber.request(5)
        assert subscriber.values == wanted[OverflowStrategy(overflow)]
        assert subscriber.completions == (0 if overflow == ERROR else 1)
        assert sorted([*subscriber.values, *lost.discarded]) == [1, 2, 3, 4]

    def test_null_is_refused(self, make: Make, overflow: str) -> None:
        """Rule 2.13: it is raised in the emitter, and ends the stream if it is not caught there."""
        sink, subscriber = opened(make, UNBOUNDED, overflow)
        with pytest.raises(TypeError, match=r"2\.13"):
            sink.next(None)
        with pytest.raises(TypeError, match=r"2\.13"):
            sink.next_batch([1, None])
        subscriber.assert_no_values().assert_not_terminated()
        subscribed(make(lambda sink: sink.next(None), overflow)).assert_error(TypeError)

    def test_what_comes_too_late_is_reported(self, make: Make, overflow: str, lost: Lost) -> None:
        """After the end it is dropped, after a cancel discarded."""
        sink, subscriber = opened(make, UNBOUNDED, overflow)
        sink.next(1).complete()
        sink.next(2).next_batch([3, 4]).complete()
        sink.error(OSError("late"))
        subscriber.assert_values(1).assert_complete()
        assert (lost.dropped, lost.discarded) == ([2, 3, 4], [])
        assert [str(error) for error in lost.errors] == ["late"]
        sink, subscriber = opened(make, UNBOUNDED, overflow)
        subscriber.cancel()
        sink.next(5).next_batch([6])
        subscriber.assert_no_values()
        assert lost.discarded == [5, 6]

    def test_what_the_emitter_raises_ends_the_stream(self, make: Make, overflow: str) -> None:
        def emitter(sink: Sink) -> None:
            sink.next(1)
            raise OSError("broken")

        subscribed(make(emitter, overflow)).assert_values(1).assert_error(OSError, "broken")

    def test_it_says_what_it_is(self, make: Make, overflow: str) -> None:
        """Reactor: FluxCreateTest.bufferSinkToString, FluxCreateTest.dropSinkToString,
        FluxCreateTest.errorSinkToString, FluxCreateTest.ignoreSinkToString,
        FluxCreateTest.latestSinkToString, FluxCreateTest.serializedBufferSinkToString
        """
        assert repr(opened(make, 0, overflow)[0]) == f"FluxSink({overflow})"

    def test_a_cancelled_subscriber_is_let_go_of(self, make: Make, overflow: str) -> None:
        """Rule 3.13: a reference to the sink keeps nothing of the subscriber alive."""
        sink, subscriber = opened(make, 1, overflow)
        subscriber.cancel()
        gone = weakref.ref(subscriber)
        del subscriber
        gc.collect()
        assert gone() is None
        assert sink.is_cancelled


class TestCallbacks:
    def test_a_second_one_runs_at_once(self) -> None:
        """Reactor: FluxCreateTest.fluxCreateDisposables,
        FluxCreateTest.secondOnCancelHandlerIsDisposedImmediately,
        FluxCreateTest.secondOnDisposeHandlerIsDisposedImmediately
        """
        sink, _ = opened()
        told: list[str] = []
        sink.on_dispose(lambda: told.append("dispose 1")).on_cancel(lambda: told.append("cancel 1"))
        sink.on_dispose(lambda: told.append("dispose 2"))
        sink.on_cancel(lambda: told.append("cancel 2"))
        assert told == ["dispose 2", "cancel 2"]
        sink.complete()
        assert told == ["dispose 2", "cancel 2", "dispose 1"]

    @pytest.mark.parametrize("first", ["request", "dispose"])
    def test_the_order_of_registration_does_not_matter(self, first: str) -> None:
        """Reactor: FluxCreateTest.fluxCreateOnDispose"""
        told: list[str] = []

        def emitter(sink: Sink) -> None:
            def emit(n: int) -> None:
                for number in range(n):
                    sink.next(number)
                sink.complete()

            if first == "request":
                sink.on_request(emit)
            sink.on_dispose(lambda: told.append("dispose")).on_cancel(lambda: told.append("cancel"))
            if first == "dispose":
                sink.on_request(emit)

        subscribed(create(emitter), 5).assert_values(*range(5)).assert_complete()
        assert told == ["dispose"]

    def test_on_cancel_after_the_cancel_runs_at_once(self) -> None:
        """Reactor: FluxCreateTest.monoFirstCancelThenOnCancel"""
        sink, subscriber = opened()
        subscriber.cancel()
        told: list[str] = []
        sink.on_cancel(lambda: told.append("cancel"))
        assert told == ["cancel"]

    def test_on_dispose_after_the_cancel_runs_at_once(self) -> None:
        """Reactor: FluxCreateTest.monoFirstCancelThenOnDispose"""
        sink, subscriber = opened()
        subscriber.cancel()
        told: list[str] = []
        sink.on_dispose(lambda: told.append("dispose"))
        assert told == ["dispose"]

    def test_after_the_end_only_on_dispose_runs(self) -> None:
        sink, _ = opened()
        sink.complete()
        told: list[str] = []
        sink.on_cancel(lambda: told.append("cancel")).on_dispose(lambda: told.append("dispose"))
        assert told == ["dispose"]

    def test_records_that_wait_keep_the_end_from_coming(self) -> None:
        """So a cancel before it is a cancel."""
        sink, subscriber = opened(n=1)
        endings = Endings(sink)
        three(sink)
        assert endings.told == []
        subscriber.cancel()
        assert endings.told == ["cancel, cancelled=True", "dispose, cancelled=True"]

    def test_one_that_raises_keeps_neither_the_cancel_nor_the_other_from_going_on(self, lost: Lost) -> None:
        """Rule 3.15."""
        sink, subscriber = opened()
        told: list[str] = []

        def fail() -> None:
            raise OSError("broken")

        sink.on_cancel(fail).on_dispose(lambda: told.append("dispose"))
        subscriber.cancel()
        assert told == ["dispose"]
        assert [str(error) for error in lost.errors] == ["broken"]

    def test_a_broken_rule_ends_the_stream_as_a_cancel_does_for_the_emitter(self) -> None:
        sink, subscriber = opened(n=1)
        endings = Endings(sink)
        subscriber.request(0)
        subscriber.assert_error(ValueError, "3.9")
        assert endings.told == ["cancel, cancelled=True", "dispose, cancelled=True"]


class TestOnRequest:
    def test_push_is_notified_once_for_everything(self) -> None:
        """Reactor: FluxCreateTest.fluxPushOnRequest"""
        heard: list[int] = []

        def emitter(sink: Sink) -> None:
            def emit(n: int) -> None:
                heard.append(n)
                sink.next_batch([1, 2, 3, 4, 5]).complete()

            sink.on_request(emit)

        subscriber = subscribed(push(emitter), 0)
        subscriber.request(1).assert_values(1)
        subscriber.request(2).assert_values(1, 2, 3)
        subscriber.request(2).assert_values(1, 2, 3, 4, 5).assert_complete()
        assert heard == [UNBOUNDED]

    def test_create_is_notified_of_each_request(self) -> None:
        """Reactor: FluxCreateTest.fluxCreateGenerateOnRequest"""
        numbers = iter(range(1, 100))

        def emitter(sink: Sink) -> None:
            def emit(n: int) -> None:
                for _ in range(n):
                    sink.next(next(numbers))

            sink.on_request(emit)

        subscriber = subscribed(create(emitter), 0)
        subscriber.request(1).assert_values(1)
        subscriber.request(2).assert_values(1, 2, 3)
        subscriber.cancel().assert_not_terminated()

    def test_what_was_requested_before_is_reported_first(self) -> None:
        """What has been emitted of it is taken off."""
        sink, subscriber = opened(n=5)
        sink.next("a").next("b")
        subscriber.request(4)
        heard: list[int] = []
        sink.on_request(heard.append)
        assert heard == [7]
        subscriber.request(3)
        assert heard == [7, 3]

    def test_a_second_callback_is_refused(self) -> None:
        sink, _ = opened()
        sink.on_request(print)
        with pytest.raises(RuntimeError, match="one on_request callback"):
            sink.on_request(print)

    @MAKERS
    def test_demand_beyond_all_bounds_needs_no_callback(self, make: Make) -> None:
        """Reactor: FluxCreateTest.ensuresRequestMaxPlusOneDoesNotFailOnNoRequestConsumer"""
        sink, subscriber = opened(make, UNBOUNDED)
        subscriber.request(1)
        three(sink)
        subscriber.assert_values("test1", "test2", "test3").assert_complete()

    def test_a_callback_that_raises_ends_the_stream(self) -> None:
        def refuse(n: int) -> None:
            raise OSError(f"no {n}")

        sink, subscriber = opened()
        sink.on_request(refuse)
        subscriber.request(2).assert_error(OSError, "no 2")

    def test_a_request_in_on_next_does_not_recurse(self) -> None:
        """Rule 3.3: neither the stack nor the callback goes deeper with each record."""
        count, depth, deepest = 100_000, 0, 0
        numbers = iter(range(count))

        def emitter(sink: Sink) -> None:
            def emit(n: int) -> None:
                nonlocal depth, deepest
                depth += 1
                deepest = max(deepest, depth)
                for _ in range(n):
                    number = next(numbers, None)
                    if number is None:
                        sink.complete()
                    else:
                        sink.next(number)
                depth -= 1

            sink.on_request(emit)

        class Greedy:
            heard = 0
            completed = False

            def on_subscribe(self, subscription: Any) -> None:
                self.subscription = subscription
                subscription.request(1)

            def on_next(self, value: int) -> None:
                self.heard += 1
                self.subscription.request(1)

            def on_error(self, error: Exception) -> None:
                raise error

            def on_completed(self) -> None:
                self.completed = True

        greedy = Greedy()
        create(emitter).subscribe(greedy)
        assert (greedy.heard, greedy.completed, deepest) == (count, True, 1)

    @EACH
    def test_a_producer_that_emits_what_is_asked_for_overflows_no_strategy(self, overflow: str) -> None:
        """Reactor: FluxCreateTest.fluxCreateOnRequestSingleThread"""
        numbers = iter(range(10_000))
        sink, subscriber = opened(create, 0, overflow)

        def emit(n: int) -> None:
            for _ in range(n):
                sink.next(next(numbers))

        sink.on_request(emit)
        for _ in range(100):
            subscriber.request(10).request(5).request(5).request(25)
        subscriber.assert_values(*range(4_500)).assert_not_terminated()


class _Producer:
    """Makes numbers in its own thread, as many as requested."""

    def __init__(self, sink: Sink, count: int, ahead: int) -> None:
        self._sink = sink
        self._count = count
        self._ahead = ahead
        self._changed = threading.Condition()
        self._wanted = 0
        self._cancelled = False
        sink.on_request(self._want).on_dispose(self._stop)

    def _want(self, n: int) -> None:
        with self._changed:
            self._wanted += n
            self._changed.notify_all()

    def _stop(self) -> None:
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def run(self) -> None:
        made: deque[int] = deque()
        for number in range(self._count):
            made.append(number)
            if len(made) < self._ahead and number < self._count - 1:
                continue
            while made:
                with self._changed:
                    assert self._changed.wait_for(lambda: self._wanted > 0 or self._cancelled, 20)
                    if self._cancelled:
                        return
                    self._wanted -= 1
                self._sink.next(made.popleft())
        self._sink.complete()


class TestThreads:
    @EACH
    @pytest.mark.parametrize("ahead", [1, 100])
    def test_a_producer_in_another_thread_that_keeps_to_demand_loses_nothing(
        self, overflow: str, ahead: int
    ) -> None:
        """Reactor: FluxCreateTest.fluxCreateOnRequestMultipleThreadsSlowProducer,
        FluxCreateTest.fluxCreateOnRequestMultipleThreadsFastProducer
        """
        count = 2_000
        sinks: list[Sink] = []
        subscriber = AssertSubscriber[int](0)
        create(sinks.append, overflow).pipe(taking(count)).subscribe(subscriber)
        producer = _Producer(sinks[0], count, ahead)
        with switching_often():
            in_threads(producer.run, lambda: [subscriber.request(10) for _ in range(count // 10)])
        subscriber.assert_values(*range(count)).assert_complete().assert_protocol()

    def test_signals_of_several_threads_come_one_at_a_time(self) -> None:
        """Reactor: FluxCreateTest.fluxCreateSerializedConcurrent

        While one thread is in `on_next`, what another one emits is delivered by the first.
        """
        sink, threads = None, list[str]()
        given = threading.Event()

        def react(_: Any, value: str) -> None:
            threads.append(threading.current_thread().name)
            if value == "test1":
                second = threading.Thread(target=give_more, name="second")
                second.start()
                assert given.wait(10)
                second.join(10)

        def give_more() -> None:
            assert sink is not None
            sink.next("test2").next("test3").complete()
            given.set()

        sinks: list[Sink] = []
        subscriber = AssertSubscriber[str](UNBOUNDED, react)
        create(sinks.append, IGNORE).subscribe(subscriber)
        sink = sinks[0]
        first = threading.Thread(target=lambda: sink.next("test1"), name="first")
        first.start()
        first.join(10)
        subscriber.assert_values("test1", "test2", "test3").assert_complete().assert_protocol()
        assert threads == ["first"] * 3

    def test_what_was_sent_without_demand_is_not_owed_afterwards(self) -> None:
        """Reactor's IGNORE counts demand down to 0, not below: what is asked for next is wanted."""
        sinks: list[Sink] = []
        subscriber = AssertSubscriber[int](2)
        create(sinks.append, IGNORE).subscribe(subscriber)
        sinks[0].next(1).next(2).next(3).next(4)
        assert sinks[0].requested_from_downstream == 0
        subscriber.request(3)
        assert sinks[0].requested_from_downstream == 3

    def test_no_record_of_any_thread_is_lost_or_doubled(self) -> None:
        sink, subscriber = opened(n=0)
        with switching_often():
            in_threads(
                *(
                    lambda base=base: [sink.next(base + i) for i in range(1_000)]
                    for base in (0, 1_000, 2_000)
                ),
                lambda: [subscriber.request(7) for _ in range(500)],
            )
        subscriber.assert_value_count(3_000).assert_protocol()
        assert sorted(subscriber.values) == list(range(3_000))

    def test_demand_is_never_lost_between_request_and_on_request(self) -> None:
        """Reactor: FluxCreateTest.ensuresConcurrentRequestAndSettingOnRequestAlwaysDeliversDemand,
        FluxCreateStressTest.RequestAndOnRequestStressTest
        """
        with switching_often():
            for _ in range(300):
                sink, subscriber = opened(n=1)
                heard: list[int] = []
                in_threads(
                    lambda subscriber=subscriber: subscriber.request(1),
                    lambda sink=sink, heard=heard: sink.on_request(heard.append),
                )
                assert sum(heard) == 2

    @pytest.mark.parametrize("overflow", [BUFFER, LATEST])
    def test_a_cancel_that_races_a_record_leaves_none_behind(self, overflow: str, lost: Lost) -> None:
        """Reactor: FluxCreateTest.bufferSinkRaceNextCancel, FluxCreateTest.latestSinkRaceNextCancel,
        FluxCreateTest.serializedBufferSinkRaceNextCancel, FluxCreateTest.bufferSinkRaceNextCancel_loop,
        FluxCreateTest.latestSinkRaceNextCancel_loop, FluxCreateTest.serializedBufferSinkRaceNextCancel_loop
        """
        with switching_often():
            for number in range(300):
                sink, subscriber = opened(n=0, overflow=overflow)
                in_threads(
                    lambda sink=sink, number=number: sink.next(number),
                    subscriber.subscription.cancel,
                )
                assert sink._outbox.waiting == 0
        assert lost.discarded == list(range(300))
