"""Stops that meet something else: a failure, a wait of a connector."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import JobConfig, JobStatus, StreamJob
from pipeline.core.errors import SinkError
from pipeline.runtime.control import JobControl
from pipeline.runtime.events import StopFailed
from pipeline.spi.sink import Sink, SinkContext, SinkInfo

pytestmark = pytest.mark.usefixtures("nothing_left")

PATIENCE_S = 25


def test_a_job_that_fails_while_it_stops_is_not_restarted(numbers: Any, checkpoints: Path) -> None:
    """The next run continues; a restart would have forgotten the stop, and run on for ever."""
    control, events = JobControl(), list[Any]()

    class Failing(Sink[int]):
        @property
        def info(self) -> SinkInfo:
            return SinkInfo("failing", "memory", "none")

        def invoke_batch(self, values: Sequence[int], ctx: Any) -> None:
            control.stop()

        def flush(self) -> None:
            raise SinkError("the server went away", retryable=True)

    config = JobConfig(checkpoint_interval=timedelta(hours=1), checkpoint_dir=checkpoints)
    job = StreamJob("failing", config)
    job.source(numbers(10**9)).sink(Failing())
    too_late = threading.Timer(PATIENCE_S, control.abort)
    too_late.start()
    result = job.execute(control=control, listeners=[events.append])
    too_late.cancel()
    too_late.join()
    assert (result.status, result.checkpoints, result.restarts) == (JobStatus.CANCELLED, 0, 0)
    (failed,) = [event for event in events if isinstance(event, StopFailed)]
    assert "the server went away" in str(failed.error)


def test_an_abort_ends_a_wait_of_the_sink(numbers: Any) -> None:
    """For its target to take records again, as far as it knows; its context ends the wait."""
    control, waited = JobControl(), list[bool]()

    class Patient(Sink[int]):
        @property
        def info(self) -> SinkInfo:
            return SinkInfo("patient", "memory", "none")

        def invoke_batch(self, values: Sequence[int], ctx: SinkContext) -> None:
            control.abort()
            waited.append(ctx.wait(timedelta(hours=1)))

    job = StreamJob("patient", JobConfig(checkpoint_rows=None))
    job.source(numbers(10)).sink(Patient())
    assert job.execute(control=control).status is JobStatus.CANCELLED
    assert waited == [False]
