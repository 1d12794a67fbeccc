"""A job that runs on a thread of its own while a test does to brokers and topics what it likes."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipeline import JobConfig, JobResult, RestartStrategy, StreamJob
from pipeline.core.errors import PipelineError
from pipeline.core.job import JobMode
from pipeline.core.run_options import RunOptions
from pipeline.runtime.control import JobControl
from pipeline.runtime.events import CheckpointCompleted, Restarting
from pipeline.spi.sink import AnySink
from pipeline.spi.source import JsonLike, Polled, PollingSource, Source, SourceInfo

ROWS = 5_000
EPOCH = 100
"""Rows of a checkpoint, unless there are to be more."""

_INTO = 50
"""Rows of the next epoch that are in flight when a job is suspended."""

AGAIN = RestartStrategy.fixed_delay(10, timedelta(milliseconds=200))


class Numbers(PollingSource[int]):
    """Counts as far as it is allowed to; all attempts share what is allowed."""

    def __init__(self, count: int = ROWS) -> None:
        self._count = count
        self._changed = threading.Condition()
        self._allowed = [count]  # in lists, which the engine's copies have in common
        self._taken = [0]
        self._next = 0
        self._cancelled = False

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("numbers", str(self._count), JobMode.STREAMING)

    @property
    def taken(self) -> int:
        """How far it has come in any attempt."""
        return self._taken[0]

    @property
    def unbounded(self) -> bool:
        """Whether it may go to its end."""
        return self._allowed[0] == self._count

    def allow(self, count: int) -> None:
        """Let it come that far and suspend it there."""
        with self._changed:
            self._allowed[0] = count
            self._changed.notify_all()

    def allow_all(self) -> None:
        self.allow(self._count)

    def seek(self, position: JsonLike) -> None:
        self._next = position if isinstance(position, int) else 0

    def poll(self, demand: int) -> Polled[int] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._cancelled or self._next < self._allowed[0] or self._at_end)
            if self._cancelled or self._at_end:
                return None
            end = min(self._next + demand, self._allowed[0])
        values = range(self._next, end)
        self._next = end
        self._taken[0] = max(end, self._taken[0])
        return Polled(values, end)

    def cancel(self) -> None:
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    @property
    def _at_end(self) -> bool:
        return self._next >= self._count


class Running:
    """From a source of numbers to a sink.

    Args:
        folder: where its checkpoints are; another run with the same one continues from there.
        after: after this checkpoint, and in the middle of the next epoch, it is suspended until
            `go_on`, if its source is one of `Numbers`. None for never.
        rows: of a checkpoint.
        start: how `StreamJob.execute` begins.
    """

    def __init__(
        self,
        name: str,
        source: Source[Any],
        sink: AnySink[Any],
        folder: Path,
        *,
        after: int | None = 2,
        rows: int = EPOCH,
        restart: RestartStrategy = AGAIN,
        **start: Any,
    ) -> None:
        self.control = JobControl()
        self.events: list[Any] = []
        self._reached = threading.Event()
        self._numbers = source if isinstance(source, Numbers) else None
        self._result: JobResult | PipelineError | None = None
        self._after = after
        self._rows = rows
        self._options = RunOptions(**start)
        config = JobConfig(
            checkpoint_rows=rows,
            checkpoint_min_pause=timedelta(milliseconds=10),
            checkpoint_dir=folder / "checkpoints",
            source_batch_size=50,
            restart=restart,
        )
        self._job = StreamJob(name, config)
        self._job.source(source, uid="in").sink(sink, uid="out")
        if self._numbers is not None and after is not None:
            self._numbers.allow(rows)
        self._thread = threading.Thread(target=self._run, name="job")
        self._thread.start()

    @property
    def restarts(self) -> list[str]:
        """What the job was started again after."""
        return [str(event.error) for event in self.events if isinstance(event, Restarting)]

    def wait_reached(self) -> None:
        """Wait until the job is where it is to be suspended."""
        assert self._reached.wait(30), (self._result, self.events)

    def go_on(self) -> None:
        assert self._numbers is not None
        self._numbers.allow_all()

    def join(self, timeout: float = 60) -> JobResult:
        """Return the result, or raise what the job failed with."""
        self._thread.join(timeout)
        assert not self._thread.is_alive()
        if isinstance(self._result, PipelineError):
            raise self._result
        assert self._result is not None
        return self._result

    def _listen(self, event: Any) -> None:
        self.events.append(event)
        if self._after is None or self._reached.is_set() or not isinstance(event, CheckpointCompleted):
            return
        done = event.checkpoint_id
        if self._numbers is not None:
            self._numbers.allow(self._rows * done + (self._rows if done < self._after else _INTO))
        if done >= self._after:
            self._reached.set()

    def _run(self) -> None:
        try:
            self._result = self._job.execute(self._options, listeners=[self._listen], control=self.control)
        except PipelineError as error:
            self._result = error
