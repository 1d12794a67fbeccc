"""Show a running job: a live line on a terminal, plain lines elsewhere, and a summary at the end."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from pipeline.cli.event_time import WindowWatch, event_time_parts
from pipeline.cli.state_report import state_report
from pipeline.cli.summary import summary_lines, written
from pipeline.core.job import JobStatus
from pipeline.runtime.control import JobControl
from pipeline.runtime.events import (
    CheckpointFailed,
    CleanUpFailed,
    JobEvent,
    JobStarted,
    Restarting,
    StatusChanged,
    StopFailed,
    StopForced,
    ThreadAbandoned,
)
from pipeline.runtime.result import EdgeProgress, JobResult, Progress

REFRESH_S: Final = 0.2
"""Seconds between two pictures on a terminal."""

PLAIN_FIRST_S: Final = 1.0
PLAIN_MAX_S: Final = 10.0
"""Seconds between two plain lines: the first after one second, then ever more seldom."""

_SEPARATOR: Final = " · "


class ProgressReport:
    """Draws what `JobControl.progress` says, on stderr, in a thread of its own.

    Args:
        job: name of the job.
        control: where progress is read.
        checkpoints: whether the job takes any.
        quiet: print nothing but errors.
    """

    def __init__(self, job: str, control: JobControl, *, checkpoints: bool, quiet: bool) -> None:
        self._job = job
        self._control = control
        self._checkpoints = checkpoints
        self._quiet = quiet
        self._console = Console(stderr=True, highlight=False)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._draw, name=f"{job}/progress", daemon=True)
        self._started = time.monotonic()
        self._base = 0
        self._begun: JobStarted | None = None
        self._phase = "starting"
        self._watch = WindowWatch()

    def __enter__(self) -> ProgressReport:
        if not self._quiet:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done.set()
        if not self._quiet:
            self._thread.join()

    def listen(self, event: JobEvent) -> None:
        """Print what people want to know at once; called on the job's thread."""
        if isinstance(event, JobStarted):
            self._begin(event)
        elif isinstance(event, StatusChanged):
            phase = f" ({event.phase})" if event.phase else ""
            self._phase = f"{event.status.value.lower()}{phase}"
        else:
            if isinstance(event, StopForced) and not self._quiet:
                self.report_state()
            line = _line(event)
            if line is not None:
                self._say(line)

    def _begin(self, event: JobStarted) -> None:
        if event.restart == 0:
            self._base = event.processed
        how = "starts afresh"
        if event.restored_from is not None:
            how = f"continues from checkpoint {event.restored_from} ({event.processed:,} records before it)"
        self._say(f"{event.job} {how}, execution {event.execution_id}, attempt {event.attempt}")
        self._begun = event
        if not event.resumable:
            self._say(f"{event.job} cannot be resumed: its output is committed once, at the end")
        for remark in event.remarks if event.restart == 0 else ():
            self._say(remark)

    def report_state(self) -> None:
        """Print what each part of the job is doing; any thread."""
        for line in state_report(self._job, self._control.statistics()):
            self._console.print(Text(line), soft_wrap=True)

    def note_signal(self, name: str, count: int) -> None:
        """Answer a signal; any thread. It writes past the console, which may be drawing."""
        if self._quiet:
            return
        what = "leaving at once" if count > 1 else f"{self._last_act()}; again to leave at once"
        os.write(sys.stderr.fileno(), f"\n{name}: {what}\n".encode())

    def _last_act(self) -> str:
        if self._checkpoints and (self._begun is None or self._begun.resumable):
            return "taking a last checkpoint"
        return "stopping; there is no checkpoint to take, so the next run starts over"

    def summarise(self, result: JobResult) -> None:
        """Print how the run ended."""
        if self._quiet:
            return
        lines = list(summary_lines(self._job, result, self._base))
        if result.status is JobStatus.CANCELLED:
            begun = self._begun
            continues = self._checkpoints and begun is not None and begun.resumable and begun.durable
            how = "continue from its last checkpoint" if continues else "start over"
            lines.append(f"  run it again to {how}")
        for line in lines:
            self._say(line)

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._console.print(Text(text), soft_wrap=True)  # a log's lines stay whole, however long

    # --- the thread -----------------------------------------------------------------------------

    def _draw(self) -> None:
        if self._console.is_interactive:
            self._draw_live()
        else:
            self._draw_plain()

    def _draw_live(self) -> None:
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while not self._done.wait(REFRESH_S):
                lines = "\n".join(_wrapped(self._look(), self._console.width))
                live.update(Text(lines, no_wrap=True, overflow="ellipsis"), refresh=True)

    def _draw_plain(self) -> None:
        pause = PLAIN_FIRST_S
        while not self._done.wait(pause):
            self._say(f"{self._job}: {_SEPARATOR.join(self._look())}")
            pause = min(pause * 2, PLAIN_MAX_S)

    def _look(self) -> list[str]:
        """Look at the job; print a hint if it is time for one, and return what the line says."""
        progress, now = self._control.progress(), time.monotonic()
        hint = self._watch.look(progress, now)
        if hint is not None:
            self._say(f"hint: {hint}")
        rate = (progress.processed - self._base) / max(now - self._started, 1e-3)
        parts = [self._phase, f"in {progress.processed:,}", f"{rate:,.0f}/s"]
        parts.append(f"out {written(progress.written, progress.written_by_sink)}")
        if progress.estimated:
            parts.append(_remaining(progress, rate))
        if progress.failed:
            parts.append(f"{progress.failed:,} failed")
        if progress.late:
            parts.append(f"{progress.late:,} late")
        parts.extend(event_time_parts(progress))
        parts.append(f"{progress.checkpoints} checkpoints")
        if progress.dropped:
            parts.append(f"{progress.dropped:,} dropped")
        return parts + [_edge(edge) for edge in progress.edges]


def _line(event: JobEvent) -> str | None:
    """Say what has happened; None for what people need not know."""
    line: str | None = None
    match event:
        case CheckpointFailed(checkpoint_id, reason):
            line = f"checkpoint {checkpoint_id} failed: {reason}"
        case CleanUpFailed(error):
            line = f"old checkpoints could not be deleted: {error}"
        case Restarting(error, delay_ms):
            line = f"failed: {error}; restarting in {delay_ms / 1000:g} s"
        case StopFailed(error):
            line = f"failed: {error}; leaving without a last checkpoint"
        case StopForced(waited_ms):
            line = f"no last checkpoint within {waited_ms / 1000:g} s (cancel_timeout); leaving without it"
        case ThreadAbandoned(thread):
            line = f"thread {thread} did not stop in time and was left behind"
        case _:
            pass
    return line


def _wrapped(parts: Iterable[str], width: int) -> list[str]:
    """Join parts to as few lines of at most `width` as hold them; only a longer part is a longer line."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(_SEPARATOR) + len(part) <= width:
            lines[-1] += _SEPARATOR + part
        else:
            lines.append(part)
    return lines


def _edge(edge: EdgeProgress) -> str:
    """Say how full a hand-over is, and what its strategy does about it."""
    fill = f"{edge.name} {edge.buffered}/{'∞' if edge.capacity is None else edge.capacity}"
    said = [f"{edge.dropped:,} dropped"] if edge.dropped else []
    if edge.active:
        said.append("backpressure")
    if edge.request_rate is not None and edge.active:
        said.append(f"asks {edge.request_rate:,.0f}/s")
    return f"{fill} ({', '.join(said)})" if said else fill


def _remaining(progress: Progress, rate: float) -> str:
    assert progress.estimated is not None
    left = progress.estimated - progress.processed
    if left <= 0:
        return "nearly done"
    share = progress.processed / progress.estimated
    eta = f", about {left / rate:,.0f} s left" if rate > 0 else ""
    return f"{share:.0%} of about {progress.estimated:,}{eta}"
