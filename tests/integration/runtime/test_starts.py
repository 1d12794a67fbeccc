"""Where a job begins is found once: restarts and later runs begin there, whatever was written meanwhile."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectSink
from pipeline import JobConfig, JobControl, RestartStrategy, StreamJob
from pipeline.core.errors import SourceError
from pipeline.core.job import JobMode, JobStatus
from pipeline.core.run_options import RunOptions
from pipeline.runtime.events import CheckpointCompleted, JobEvent
from pipeline.spi.source import JsonLike, Polled, PollingSource, SourceInfo

pytestmark = pytest.mark.usefixtures("nothing_left")

HOUR = timedelta(hours=1)


class Tail(PollingSource[int]):
    """Reads a log from where it ends, and ends once it has read `until` of it.

    Args:
        failures: how many of its attempts fail after their first records.
        grows: whether the log gets ten more records with each attempt.
    """

    def __init__(self, until: int, failures: int = 0, *, grows: bool = True) -> None:
        self.log = list(range(5))  # shared by the copies that attempts run, as are the other lists
        self.starts: list[int] = []
        self._until = until
        self._failures = [failures]
        self._grows = grows
        self._next = 0
        self._cancelled = threading.Event()

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("tail", "test", JobMode.STREAMING)

    def find_start(self) -> JsonLike:
        self._position = len(self.log)
        self.starts.append(self._position)
        return self._position

    def seek(self, position: JsonLike) -> None:
        self._next = position
        if self._grows:
            self.log += range(len(self.log), len(self.log) + 10)

    def poll(self, demand: int) -> Polled[int] | None:
        if self._next >= self._until:
            return None
        if self._next >= len(self.log):
            self._cancelled.wait(20)  # all there is has been read: nothing more comes in this run
            return None
        if self._failures[0] and self._next > 5:
            self._failures[0] -= 1
            raise SourceError("the server went away", retryable=True)
        values = self.log[self._next : min(self._next + min(demand, 4), self._until)]
        self._next += len(values)
        return Polled(values, self._next)

    def cancel(self) -> None:
        self._cancelled.set()


def job(source: Tail, sink: CollectSink[int], folder: Path, **settings: Any) -> StreamJob:
    restart = RestartStrategy.fixed_delay(3, timedelta(milliseconds=1))
    config = JobConfig(checkpoint_dir=folder, restart=restart, source_batch_size=4, **settings)
    made = StreamJob("tail", config, mode=JobMode.BATCH_ROLLER)
    made.source(source, uid="in").sink(sink, uid="out")
    return made


def test_a_restart_without_a_checkpoint_begins_where_the_first_attempt_did(tmp_path: Path) -> None:
    source, sink = Tail(until=20, failures=2), CollectSink[int]()
    done = job(source, sink, tmp_path, checkpoint_rows=None).execute()
    assert (done.status, done.restarts, done.checkpoints) == (JobStatus.COMPLETED, 2, 0)
    assert source.starts == [5]
    assert sink.values == list(range(5, 20))


def test_the_start_is_in_a_checkpoint_before_anything_else(tmp_path: Path) -> None:
    """A run that was killed before its first interval was over: the next one has missed nothing."""
    source, sink, control = Tail(until=30, grows=False), CollectSink[int](), JobControl()

    def listen(event: JobEvent) -> None:
        if isinstance(event, CheckpointCompleted):
            control.abort()

    first = job(source, sink, tmp_path, checkpoint_interval=HOUR, checkpoint_rows=None).execute(
        listeners=[listen], control=control
    )
    assert (first.status, first.checkpoints) == (JobStatus.CANCELLED, 1)
    source.log += range(5, 30)
    second = job(source, sink, tmp_path, checkpoint_interval=HOUR, checkpoint_rows=None).execute()
    assert (second.status, second.restored_from) == (JobStatus.COMPLETED, 1)
    assert source.starts == [5]
    assert sink.values == list(range(5, 30))


def test_a_job_that_starts_over_finds_its_start_again(tmp_path: Path) -> None:
    source, sink = Tail(until=10), CollectSink[int]()
    job(source, sink, tmp_path, checkpoint_interval=HOUR, checkpoint_rows=None).execute()
    job(source, sink, tmp_path, checkpoint_interval=HOUR, checkpoint_rows=None).execute(
        RunOptions(fresh=True)
    )
    assert source.starts == [5, 15]


class Beginning(Tail):
    """A source whose start is the same whenever it is looked up."""

    def find_start(self) -> JsonLike:
        return None


def test_no_checkpoint_is_taken_at_the_start_of_a_job_that_can_find_it_again(tmp_path: Path) -> None:
    source, sink = Beginning(until=15), CollectSink[int]()
    source.restore_state(0)
    done = job(source, sink, tmp_path, checkpoint_interval=HOUR, checkpoint_rows=None).execute()
    assert done.checkpoints == 1, "that at the end"
