"""A job that sums over windows of event time, on a thread of its own, while a test writes to its topics."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from connectors import CollectSink, KafkaSource
from pipeline import JobConfig, JobResult, RestartStrategy, StreamJob, TumblingTimeWindows, WatermarkStrategy
from pipeline.core.clock import Clock
from pipeline.core.errors import PipelineError
from pipeline.core.run_options import RunOptions
from pipeline.graph.plan import physical
from pipeline.runtime.assembly import assemble
from pipeline.runtime.control import JobControl
from pipeline.runtime.job import run_job

MONOTONIC = WatermarkStrategy.monotonic(timestamp=lambda record: record["ts"])
TEN_SECONDS = TumblingTimeWindows.of(timedelta(seconds=10))
QUICK = {"fetch.wait.max.ms": 20}
"""An end is seen when this is over."""


def rec(second: int) -> dict[str, int]:
    """A record of that second of event time."""
    return {"ts": second * 1000, "v": 1}


def recs(first: int, end: int) -> list[dict[str, int]]:
    """One record for each second from `first` up to, not including, `end`."""
    return [rec(second) for second in range(first, end)]


class Sums:
    """The sums of `v`, window by window; each job run with the same one adds to the same result.

    Args:
        name: of the job.
        folder: where its checkpoints are.
        clock: of the job; None for the system's.
    """

    def __init__(self, name: str, folder: Path, clock: Clock | None = None) -> None:
        self.control = JobControl()
        self.sink: CollectSink[tuple[int, int]] = CollectSink()
        self._name = name
        self._clock = clock
        self._folder = folder
        self._changed = threading.Condition()
        self._read: list[int] = []
        self._fired = 0
        self._result: JobResult | PipelineError | None = None

    @property
    def windows(self) -> Mapping[int, int]:
        """The sum of each window that has fired, by the second at which it starts."""
        assert len(dict(self.sink.values)) == len(self.sink.values), "a window fired twice"
        return {start // 1000: total for start, total in self.sink.values}

    def start(
        self,
        *sources: KafkaSource[Any],
        watermarks: WatermarkStrategy = MONOTONIC,
        windows: Any = TEN_SECONDS,
    ) -> Sums:
        """Start a run; `join` ends it."""
        config = JobConfig(
            checkpoint_dir=self._folder,
            checkpoint_interval=timedelta(hours=1),
            restart=RestartStrategy.none(),
        )
        job = StreamJob(self._name, config)
        first, *others = (
            job.source(source, watermarks=watermarks, uid=f"in{number}")
            for number, source in enumerate(sources)
        )
        records = first.union(*others) if others else first
        (
            records.map(self._note_read)
            .key_by(lambda _: 0)
            .window(windows)
            .reduce(
                lambda a, b: {"ts": a["ts"], "v": a["v"] + b["v"]},
                window_function=lambda _, window, folded: (window.start, folded["v"]),
                uid="sum",
            )
            .map(self._note_fired)
            .sink(self.sink, uid="out")
        )
        self._job = job
        self.control, self._result, self._read, self._fired = JobControl(), None, [], 0
        self._thread = threading.Thread(target=self._run, name="job")
        self._thread.start()
        return self

    def wait_read(self, records: int) -> None:
        """Wait until this run has read that many records."""
        self._wait(lambda: len(self._read) >= records, f"{records} records")

    def wait_fired(self, windows: int) -> None:
        """Wait until that many windows have fired in this run."""
        self._wait(lambda: self._fired >= windows, f"{windows} windows")

    def stop(self) -> JobResult:
        """Stop with a last checkpoint."""
        self.control.stop()
        return self.join()

    def join(self) -> JobResult:
        """Return the result, or raise what the run failed with."""
        self._thread.join(60)
        if self._thread.is_alive():
            self._give_up("it did not end")
        if isinstance(self._result, PipelineError):
            raise self._result
        assert self._result is not None
        return self._result

    def _note_read(self, record: Any) -> Any:
        with self._changed:
            self._read.append(record["ts"])
            self._changed.notify_all()
        return record

    def _note_fired(self, result: Any) -> Any:
        with self._changed:
            self._fired += 1
            self._changed.notify_all()
        return result

    def _wait(self, condition: Any, what: str) -> None:
        with self._changed:
            self._changed.wait_for(lambda: condition() or self._result is not None, 30)
            come = condition()
        if not come:
            self._give_up(f"{what} did not come")

    def _give_up(self, why: str) -> NoReturn:
        """Fail the test and leave no job that keeps the process alive."""
        found = f"{why}: {self._result}, {self.control.progress()}"
        self.control.abort()
        self._thread.join(10)
        pytest.fail(found)

    def _run(self) -> None:
        try:
            config = self._job.resolve()
            ports = assemble(self._job.name, config, clock=self._clock)
            self._result = run_job(
                physical(self._job.job_graph()), config, RunOptions(), ports, control=self.control
            )
        except PipelineError as error:
            self._result = error
        with self._changed:
            self._changed.notify_all()
