"""Timers in whole jobs: once over a restart, at any parallelism, in the thread of their subtask."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors import CollectSink
from pipeline import JobConfig, JobStatus, RestartStrategy, StreamJob, WatermarkStrategy
from pipeline.api.stream import Stream
from pipeline.core.job import JobMode
from pipeline.core.records import Batch
from pipeline.operators.base import Function, OperatorFactory
from pipeline.spi.function import FunctionContext
from pipeline.spi.operator import DueTimers, OperatorContext, StreamOperator
from pipeline.spi.source import Source, SourceContext, SourceInfo

pytestmark = pytest.mark.usefixtures("nothing_left")

DELAY = 40


@dataclass(frozen=True, slots=True)
class Remind(OperatorFactory):
    """Emit each number again `DELAY` ms after its time, in the time that `wall` says."""

    kind: ClassVar[str] = "remind"
    reads_time: ClassVar[bool] = True

    selector: Function
    wall: bool = False

    @property
    def functions(self) -> Sequence[Function]:
        return ()

    @property
    def keeps_state(self) -> bool:
        return True

    def create_operator(self) -> StreamOperator[Any, Any]:
        return RemindOperator(self)


@dataclass(frozen=True, slots=True)
class RemindByClock(Remind):
    @property
    def uses_clock(self) -> bool:
        return True


class RemindOperator(StreamOperator[Any, Any]):
    expands = True
    keyed_timers = True

    def __init__(self, spec: Remind) -> None:
        self._spec = spec

    def open(self, ctx: OperatorContext) -> None:
        self._ctx = ctx

    def process_batch(self, batch: Batch[Any], input_index: int) -> Batch[Any]:
        if self._spec.wall:
            for value in batch.values:
                due = self._ctx.clock.now_ms() + DELAY
                self._ctx.wall_timers.register(self._spec.selector(value), due, str(value))
        else:
            assert batch.timestamps is not None
            for value, at in zip(batch.values, batch.timestamps, strict=True):
                self._ctx.event_timers.register(self._spec.selector(value), at + DELAY, str(value))
        return Batch(())

    def process_timers(self, due: DueTimers) -> Batch[Any]:
        assert due.by_clock == self._spec.wall
        return Batch([(key, int(due.name)) for key in due.keys], [due.timestamp] * len(due.keys))


def remind(stream: Stream[Any], spec: type[Remind] = Remind, *, wall: bool = False) -> Stream[Any]:
    keyed = stream.key_by(seventh)
    return Stream(stream.job, stream.job.graph.add_operator(spec(seventh, wall), [keyed.output]))


def seventh(number: int) -> int:
    return number % 7


IN_ORDER = WatermarkStrategy.monotonic(timestamp=int)


@pytest.mark.parametrize("chains", ["generated", "interpreted"])
@pytest.mark.parametrize("parallelism", [1, 3])
def test_timers_of_event_time_are_called_once_over_a_restart(
    chains: str, parallelism: int, checkpoints: Path, gated_numbers: Any
) -> None:
    calls, results = Counter[str](), CollectSink[Any]()

    def fail_once(value: Any) -> Any:
        calls["all"] += 1
        if calls["all"] == 700:
            raise OSError("the network is down")
        return value

    restart = RestartStrategy.fixed_delay(attempts=1, delay=timedelta(0), retry_on=(OSError,))
    config = JobConfig(
        checkpoint_rows=150,
        checkpoint_dir=str(checkpoints),
        restart=restart,
        parallelism=parallelism,
        chains=chains,
    )
    job = StreamJob("reminders", config)
    numbers = job.source(gated_numbers(1000), uid="numbers", watermarks=IN_ORDER)
    remind(numbers).map(fail_once).sink(results)
    done = job.execute()
    assert (done.status, done.restarts) == (JobStatus.COMPLETED, 1)
    assert Counter(results.values) == Counter((number % 7, number) for number in range(1000))
    if parallelism == 1:
        assert [number for _, number in results.values] == list(range(1000))


class Waiting(Source[int]):
    """Emits three numbers and then reads in vain until what it waits for has come."""

    def __init__(self, came: threading.Event) -> None:
        self._came = came
        self.in_time: list[bool] = []  # shared by the copies that attempts run

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("waiting", "test", JobMode.STREAMING)

    def run(self, ctx: SourceContext[int]) -> None:
        if ctx.wait_demand() >= 3:
            with ctx.checkpoint_lock:
                ctx.emit([1, 2, 3])
        if ctx.wait_demand():
            self.in_time.append(self._came.wait(20))

    def snapshot_state(self) -> None:
        return None

    def restore_state(self, state: Any) -> None:
        raise AssertionError("nothing is restored")


class OfOneThread:
    """A function that works in the thread that opened it only."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []  # shared by the copies that subtasks open
        self.came = threading.Event()

    def open(self, ctx: FunctionContext) -> None:
        self._opened_in = threading.current_thread().name

    def __call__(self, value: Any) -> Any:
        self.calls.append((self._opened_in, threading.current_thread().name))
        if len(self.calls) == 3:
            self.came.set()
        return value


@pytest.mark.parametrize("watermarks", [None, IN_ORDER])
def test_timers_of_the_clock_are_called_while_the_source_reads(watermarks: Any) -> None:
    """In the subtask's own thread, also where there is event time and nothing to exchange."""
    tied, results = OfOneThread(), CollectSink[Any]()
    source, job = Waiting(tied.came), StreamJob("clock")
    numbers = job.source(source, watermarks=watermarks)
    remind(numbers, RemindByClock, wall=True).map(tied, uid="tied").sink(results)
    assert job.execute().status is JobStatus.COMPLETED
    assert source.in_time == [True]
    assert sorted(results.values) == [(1, 1), (2, 2), (3, 3)]
    assert all(opened_in == called_in for opened_in, called_in in tied.calls)


def test_timers_are_not_part_of_the_final_state() -> None:
    tied = OfOneThread()
    job = StreamJob("state")
    remind(job.source(Waiting(tied.came)), RemindByClock, wall=True).map(tied, uid="tied").sink(CollectSink())
    assert job.execute().state == {"remind": {}}
