"""A slow sink holds the source back by demand: little is read ahead, and checkpoints still complete."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import JobConfig, JobStatus, StreamJob
from pipeline.runtime.control import JobControl
from pipeline.runtime.events import CheckpointCompleted

PER_SECOND = 400


@pytest.mark.parametrize("keyed", [False, True], ids=["fused", "across a channel"])
def test_the_source_reads_about_a_second_ahead(
    keyed: bool, numbers: Any, calling: Any, checkpoints: Path
) -> None:
    """What was read and not written never exceeds the bounds; a checkpoint does not wait for 20 s of it."""
    written = 0
    ahead: list[int] = []
    control = JobControl()

    def take(values: list[Any]) -> None:
        nonlocal written
        time.sleep(len(values) / PER_SECOND)
        written += len(values)
        ahead.append(control.progress().processed - written)
        if written > 6 * PER_SECOND and len(completed) >= 2:
            control.abort()

    completed: list[CheckpointCompleted] = []

    def listen(event: Any) -> None:
        if isinstance(event, CheckpointCompleted):
            completed.append(event)

    job = StreamJob(
        "slow",
        JobConfig(
            checkpoint_interval=timedelta(milliseconds=500),
            checkpoint_min_pause=timedelta(milliseconds=100),
            checkpoint_dir=checkpoints,
        ),
    )
    stream = job.source(numbers(10**9, batch=5000))
    if keyed:
        stream.key_by(lambda n: n % 3).reduce(max, uid="max").sink(calling(take))
    else:
        stream.sink(calling(take))
    result = job.execute(control=control, listeners=[listen])
    assert result.status is JobStatus.CANCELLED
    bound = 2.5 * PER_SECOND * (2 if keyed else 1)
    assert max(ahead) < bound
    assert max(event.duration_ms for event in completed) < 10_000


def test_a_blocked_sink_declines_the_checkpoint_and_the_next_one_completes(
    numbers: Any, calling: Any, checkpoints: Path
) -> None:
    """The job continues after the release, and nothing is lost or repeated."""
    release = threading.Event()
    seen: list[int] = []
    failed: list[Any] = []

    def take(values: list[int]) -> None:
        if not seen:
            release.wait()
        seen.extend(values)

    def listen(event: Any) -> None:
        if type(event).__name__ == "CheckpointFailed":
            failed.append(event)
            release.set()

    job = StreamJob(
        "blocked",
        JobConfig(
            checkpoint_interval=timedelta(milliseconds=50),
            checkpoint_min_pause=timedelta(0),
            checkpoint_timeout=timedelta(milliseconds=300),
            tolerable_checkpoint_failures=10**6,  # with other work beside, one may take that long by itself
            checkpoint_dir=checkpoints,
        ),
    )
    job.source(numbers(20_000)).sink(calling(take))
    result = job.execute(listeners=[listen])
    assert result.status is JobStatus.COMPLETED
    assert seen == list(range(20_000))
    assert "within 300 ms" in failed[0].reason
    assert result.checkpoints >= 1
