"""ThreadProducer: a function in its own thread, which may emit only what was asked for."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from datetime import timedelta
from typing import Any

import pytest
from reactivex import operators as ops

from pipeline.core.errors import InternalError, UserFunctionError
from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.producer import Interrupted, ThreadProducer
from tests.unit.pipeline.reactive.conftest import LONG, FullProbe, Probe, Produce, numbers


def wait(event: threading.Event) -> None:
    assert event.wait(LONG.total_seconds()), "what was waited for did not happen"


def run_to_end(producer: ThreadProducer[Any], probe: Probe) -> None:
    producer.flux.subscribe(probe)
    producer.start()
    wait(probe.ended)
    assert producer.join(LONG)


class TestDemand:
    def test_nothing_comes_before_it_is_requested(self, produce: Produce) -> None:
        """Rule 1.1, for a subscriber of single records; then exactly what was asked for comes."""
        third = threading.Event()
        probe = Probe(then=lambda probe, value: value == 2 and third.set())
        producer = produce(numbers(100))
        producer.flux.subscribe(probe)
        producer.start()
        assert probe.values == []
        probe.subscription.request(3)
        wait(third)
        producer.cancel()
        assert producer.join(LONG)
        assert probe.values == [0, 1, 2]

    @pytest.mark.parametrize("first", [7, UNBOUNDED, 2**63, 2**70])
    def test_all_comes_if_all_is_requested(self, produce: Produce, first: int) -> None:
        """Rule 3.17: a request beyond 2^63 - 1 is one without limit."""
        probe = Probe(first=first, then=lambda probe, value: probe.subscription.request(1))
        producer = produce(numbers(100))
        run_to_end(producer, probe)
        assert probe.values == list(range(100))
        assert (probe.completed, probe.errors) == (1, [])

    def test_unbounded_demand_is_not_used_up(self, produce: Produce) -> None:
        probe = Probe(first=2**63)
        seen: list[int] = []

        def run(producer: ThreadProducer[int]) -> None:
            for _ in range(3):
                seen.append(producer.wait_demand())
                producer.next_batch([1, 2])

        run_to_end(produce(run), probe)
        assert seen == [UNBOUNDED] * 3

    def test_requests_add_up(self, produce: Produce) -> None:
        """Rule 3.8; five of seven are used, two are left."""
        seen: list[int] = []

        def run(producer: ThreadProducer[int]) -> None:
            seen.append(producer.wait_demand())
            producer.next_batch([0] * 5)
            seen.append(producer.requested)

        probe = Probe(first=3)
        producer = produce(run)
        producer.flux.subscribe(probe)
        probe.subscription.request(4)
        producer.start()
        wait(probe.ended)
        assert seen == [7, 2]

    @pytest.mark.parametrize("extra", [1, 100])
    def test_emitting_more_than_was_requested_is_refused(self, produce: Produce, extra: int) -> None:
        """Rule 1.1: none of the batch is emitted, and the stream ends with an error."""

        def run(producer: ThreadProducer[int]) -> None:
            producer.next_batch([0] * (producer.wait_demand() + extra))

        probe = Probe(first=5)
        run_to_end(produce(run), probe)
        assert probe.values == []
        (error,) = probe.errors
        assert isinstance(error, InternalError)
        assert "1.1" in str(error)

    def test_a_request_within_on_next_does_not_recurse(self, produce: Produce) -> None:
        """Rule 3.3, a hundred thousand deep, one record at a time."""
        count = 100_000
        probe = Probe(first=1, then=lambda probe, value: probe.subscription.request(1))
        run_to_end(produce(numbers(count)), probe)
        assert len(probe.values) == count
        assert probe.completed == 1

    @pytest.mark.parametrize("n", [0, -1, -(2**63)])
    def test_a_request_that_is_not_positive_ends_the_stream(self, produce: Produce, n: int) -> None:
        """Rule 3.9: with an error that names the rule."""
        probe = Probe(then=lambda probe, value: probe.subscription.request(n))
        producer = produce(numbers(100))
        producer.flux.subscribe(probe)
        producer.start()
        probe.subscription.request(1)
        wait(probe.ended)
        (error,) = probe.errors
        assert isinstance(error, ValueError)
        assert "3.9" in str(error)
        assert (probe.values, probe.completed) == ([0], 0)

    def test_a_function_that_swallows_the_violation_ends_the_stream_with_it_all_the_same(
        self, produce: Produce
    ) -> None:
        def run(producer: ThreadProducer[int]) -> None:
            try:
                producer.wait_demand()
            except ValueError:
                return

        probe = Probe(first=-1)
        run_to_end(produce(run), probe)
        assert [type(error) for error in probe.errors] == [ValueError]
        assert probe.completed == 0

    def test_a_violation_is_noticed_under_unbounded_demand(self, produce: Produce) -> None:
        def run(producer: ThreadProducer[int]) -> None:
            while producer.wait_demand():
                producer.next_batch([1])

        probe = Probe(first=UNBOUNDED, then=lambda probe, value: probe.subscription.request(0))
        run_to_end(produce(run), probe)
        assert [type(error) for error in probe.errors] == [ValueError]


class TestEnds:
    def test_the_end_of_the_function_completes_the_stream(self, produce: Produce) -> None:
        """Completion needs no demand (rule 1.5)."""
        probe = Probe()
        run_to_end(produce(lambda producer: None), probe)
        assert (probe.completed, probe.errors) == (1, [])

    def test_what_the_function_raises_arrives_as_the_error(self, produce: Produce) -> None:
        """Rule 1.4, and nothing else after it."""

        def run(producer: ThreadProducer[int]) -> None:
            producer.next_batch([producer.wait_demand()])
            raise KeyError("broken")

        probe = Probe(first=1)
        run_to_end(produce(run), probe)
        assert probe.values == [1]
        assert [repr(error) for error in probe.errors] == ["KeyError('broken')"]
        assert probe.completed == 0

    @pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
    def test_what_would_end_the_thread_only_arrives_as_an_error_too(
        self, produce: Produce, kind: type[BaseException]
    ) -> None:
        """Otherwise the end of the stream would reach nobody."""

        def run(producer: ThreadProducer[int]) -> None:
            raise kind("away")

        probe = Probe(first=1)
        run_to_end(produce(run), probe)
        (error,) = probe.errors
        assert isinstance(error, UserFunctionError)
        assert isinstance(error.__cause__, kind)
        assert error.message == f"run raised {kind.__name__}: away"

    def test_what_a_subscriber_raises_comes_back_to_it(self, produce: Produce) -> None:
        """As with Reactor's BaseSubscriber: the producer stops and the subscriber gets its error."""

        def refuse(probe: Any, value: Any) -> None:
            raise RuntimeError("no thanks")

        probe = Probe(first=10, then=refuse)
        run_to_end(produce(numbers(10, batch=1)), probe)
        assert probe.values == [0]
        assert [str(error) for error in probe.errors] == ["no thanks"]

    def test_control_elements_need_no_demand(self, produce: Produce) -> None:
        def run(producer: ThreadProducer[int]) -> None:
            producer.control("first")
            producer.next_batch(list(range(producer.wait_demand())))
            producer.control("last")

        probe = FullProbe(first=2)
        run_to_end(produce(run), probe)
        assert probe.values == ["first", 0, 1, "last"]


class TestCancel:
    def test_ends_a_wait_for_demand(self, produce: Produce) -> None:
        waiting, seen = threading.Event(), list[int]()

        def run(producer: ThreadProducer[int]) -> None:
            waiting.set()
            seen.append(producer.wait_demand())

        probe = Probe()
        producer = produce(run)
        disposable = producer.flux.subscribe(probe)
        producer.start()
        wait(waiting)
        disposable.dispose()
        assert producer.join(LONG)
        assert seen == [0]
        assert probe.ends == 0

    def test_whatever_is_emitted_afterwards_unwinds_the_function(self, produce: Produce) -> None:
        """A function that never looks at `cancelled` stops at its next signal, of either kind."""
        for emit in (lambda producer: producer.next_batch([1]), lambda producer: producer.control("barrier")):
            reached: list[str] = []

            def run(producer: ThreadProducer[int], emit: Any = emit, reached: list[str] = reached) -> None:
                producer.cancel()
                try:
                    emit(producer)
                except Interrupted:
                    reached.append("interrupted")
                    raise
                reached.append("continued")

            probe = FullProbe(first=5)
            producer = produce(run)
            producer.flux.subscribe(probe)
            producer.start()
            assert producer.join(LONG)
            assert reached == ["interrupted"]
            assert (probe.values, probe.ends) == ([], 0)

    def test_errors_after_it_are_its_consequence(self, produce: Produce) -> None:
        def run(producer: ThreadProducer[int]) -> None:
            producer.cancel()
            raise ConnectionError("closed while reading")

        probe = Probe()
        producer = produce(run)
        producer.flux.subscribe(probe)
        producer.start()
        assert producer.join(LONG)
        assert probe.ends == 0

    def test_makes_later_requests_do_nothing(self, produce: Produce) -> None:
        """Rule 3.6, also for requests that would break rule 3.9."""
        seen: list[Any] = []
        cancelled = threading.Event()

        def run(producer: ThreadProducer[int]) -> None:
            wait(cancelled)
            seen.extend((producer.requested, producer.wait_demand(), producer.cancelled))

        producer = produce(run)
        producer.flux.connect(FullProbe())
        producer.start()
        producer.cancel()
        producer.cancel()
        producer.request(5)
        producer.request(-1)
        cancelled.set()
        assert producer.join(LONG)
        assert seen == [0, 0, True]

    @pytest.mark.filterwarnings("ignore::pipeline.reactive.flux.DemandLost")
    def test_may_come_from_within_on_next(self, produce: Produce) -> None:
        """Rule 3.5: the plain operator `take` does so."""
        heard: list[int] = []
        completed = threading.Event()
        producer = produce(numbers(1_000_000))
        producer.flux.pipe(ops.take(3)).subscribe(heard.append, on_completed=completed.set)
        producer.start()
        wait(completed)
        assert producer.join(LONG)
        assert heard == [0, 1, 2]

    @pytest.mark.parametrize("end", ["cancel", "completion"])
    def test_the_subscriber_is_let_go_of(self, produce: Produce, end: str) -> None:
        """Rule 3.13, also by a subscriber without a wrapper, while the producer lives on."""
        probe = FullProbe(first=1)
        gone = weakref.ref(probe)
        producer = produce(numbers(10**9 if end == "cancel" else 0))
        producer.flux.connect(probe)
        producer.start()
        if end == "cancel":
            producer.cancel()
        assert producer.join(LONG)
        del probe
        gc.collect()
        assert gone() is None


class TestThread:
    def test_has_the_name_it_was_given(self, produce: Produce) -> None:
        names: list[str] = []
        producer = produce(lambda producer: names.append(threading.current_thread().name), "orders/read/0")
        run_to_end(producer, Probe())
        assert names == ["orders/read/0"]
        assert producer.thread_name == "orders/read/0"

    def test_all_signals_come_from_it(self, produce: Produce) -> None:
        """Rule 1.3: `request` never runs the function."""
        threads: set[str] = set()

        def note(probe: Any, value: Any) -> None:
            threads.add(threading.current_thread().name)
            probe.subscription.request(1)

        run_to_end(produce(numbers(50), "orders/read/0"), Probe(first=1, then=note))
        assert threads == {"orders/read/0"}

    def test_join_says_whether_it_has_ended(self, produce: Produce) -> None:
        producer = produce(numbers(1))
        producer.flux.subscribe(Probe())
        assert producer.join(LONG), "not started: nothing to wait for"
        producer.start()
        assert not producer.join(timedelta(milliseconds=1))
        producer.cancel()
        assert producer.join(LONG)

    def test_does_not_start_without_a_subscriber(self, produce: Produce) -> None:
        with pytest.raises(InternalError, match="subscriber"):
            produce(numbers(1)).start()

    def test_has_one_subscriber(self, produce: Produce) -> None:
        """Rule 1.9: a second one is refused with `on_error`, after `on_subscribe`; the first continues."""
        first, second = Probe(first=10), Probe(first=10)
        producer = produce(numbers(3))
        producer.flux.subscribe(first)
        producer.flux.subscribe(second)
        assert second.subscription is not None
        assert [type(error) for error in second.errors] == [InternalError]
        producer.start()
        wait(first.ended)
        assert (first.values, first.completed) == ([0, 1, 2], 1)
        assert (second.values, second.ends) == ([], 1)

    def test_looks_again_when_woken(self, produce: Produce) -> None:
        """A change of what the thread waits for wakes it."""
        waiting, doors = threading.Event(), list[str]()

        def ready() -> bool:
            waiting.set()
            return bool(doors)

        results: list[bool] = []
        producer = produce(lambda producer: results.append(producer.wait_until(ready)))
        producer.flux.subscribe(Probe())
        producer.start()
        wait(waiting)
        doors.append("open")
        producer.wake()
        assert producer.join(LONG)
        assert results == [True]
