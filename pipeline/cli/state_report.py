"""What each part of a job is doing right now, for someone who wonders why it does not move."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Final

from pipeline.runtime.statistics import (
    AttemptStatistics,
    CheckpointStatistics,
    InputStatistics,
    SubtaskStatistics,
)

FRAMES_SHOWN: Final = 5
"""Calls shown of each thread, the innermost first."""


def state_report(job: str, statistics: AttemptStatistics | None) -> Iterator[str]:
    """Yield the lines of the report.

    Args:
        job: its name, by which its threads are found.
        statistics: of its present attempt; None before the first one.
    """
    if statistics is None:
        yield f"{job}: has not begun yet"
    else:
        yield f"{job}: {statistics.status.value}"
        yield f"  {_of_checkpoints(statistics.checkpoints, statistics.parts_waiting)}"
        for subtask in statistics.subtasks:
            yield f"  {_of_subtask(subtask)}"
            for number, one in enumerate(subtask.inputs):
                yield f"    input {number}: {_of_input(one)}"
    yield "  threads, the innermost call first:"
    yield from _threads(job)


def _of_checkpoints(checkpoints: CheckpointStatistics, parts_waiting: int) -> str:
    said = f"{checkpoints.completed} checkpoints completed"
    if checkpoints.in_flight is not None:
        seconds = checkpoints.running_ms / 1000
        said += f"; checkpoint {checkpoints.in_flight} ({checkpoints.kind}) under way for {seconds:.1f} s"
        said += f", no answer yet from {', '.join(checkpoints.missing)}" if checkpoints.missing else ""
    return said + (f"; {parts_waiting} snapshots to store" if parts_waiting else "")


def _of_subtask(subtask: SubtaskStatistics) -> str:
    parts = [subtask.state, f"demand {subtask.demand:,}"]
    if not subtask.inputs:
        parts.append(f"emitted {subtask.emitted:,}")
    if subtask.written:
        parts.append(f"written {subtask.written:,}")
    if subtask.suspended:
        parts.append("output of a record waits for demand")
    return f"{subtask.name} [{subtask.thread}]: {', '.join(parts)}"


def _of_input(one: InputStatistics) -> str:
    parts = [f"{one.buffered:,} of {'∞' if one.capacity is None else f'{one.capacity:,}'} records"]
    if one.barrier_arrived:
        parts.append("its barrier has come")
    if one.ended:
        parts.append("ended")
    return ", ".join(parts)


def _threads(job: str) -> Iterator[str]:
    frames = sys._current_frames()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - documented
    for thread in threading.enumerate():
        its_own = thread is threading.main_thread() or thread.name.startswith(f"{job}/")
        if its_own and thread is not threading.current_thread() and thread.ident in frames:
            calls = islice(_calls(frames[thread.ident]), FRAMES_SHOWN)
            yield f"    {thread.name}: {' < '.join(calls)}"


def _calls(frame: FrameType | None) -> Iterator[str]:
    while frame is not None:
        yield f"{frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
        frame = frame.f_back
