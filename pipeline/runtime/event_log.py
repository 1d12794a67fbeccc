"""What happens to a run, as lines of standard logging: the logger `pipeline.job`, one line an event.

No handler is set here, as libraries should not: the program that runs a job decides where lines go.
Without one they are dropped, since the error of a run that fails is raised as well.
"""

from __future__ import annotations

import logging
from typing import Final

from pipeline.core.job import JobStatus
from pipeline.runtime.events import (
    CheckpointCompleted,
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

LOGGER: Final = "pipeline.job"
"""The logger of all runs; each line begins with the job's name."""

_log = logging.getLogger(LOGGER)
_log.addHandler(logging.NullHandler())

_ENDS: Final = frozenset({JobStatus.COMPLETED, JobStatus.CANCELLED})


class EventLog:
    """A listener that logs the events of one run.

    Starts, ends and restarts are INFO and WARNING, checkpoints and other changes of state DEBUG; what
    went wrong and is survived is WARNING, the failure that ends the run ERROR.

    Args:
        job: the job's name.

    Example:
        >>> logging.basicConfig(level=logging.INFO)  # doctest: +SKIP
        >>> job.execute()  # doctest: +SKIP
        INFO:pipeline.job:totals: started, execution 20261130-120000-1a2b3c4d, attempt 1
        INFO:pipeline.job:totals: COMPLETED
    """

    def __init__(self, job: str) -> None:
        self._job = job

    def __call__(self, event: JobEvent) -> None:
        level, text = _line(event)
        _log.log(level, "%s: %s", self._job, text)
        for remark in event.remarks if isinstance(event, JobStarted) and not event.restart else ():
            _log.info("%s: %s", self._job, remark)


def _line(event: JobEvent) -> tuple[int, str]:
    match event:
        case JobStarted():
            line = logging.INFO, _started(event)
        case StatusChanged(status, phase):
            line = _level(status), f"{status} ({phase})" if phase else str(status)
        case CheckpointCompleted():
            text = f"checkpoint {event.checkpoint_id} ({event.kind}) completed in {event.duration_ms} ms"
            line = logging.DEBUG, f"{text}, {event.size_bytes} bytes"
        case CheckpointFailed(checkpoint_id, reason):
            line = logging.WARNING, f"checkpoint {checkpoint_id} failed: {reason}"
        case CleanUpFailed(error):
            line = logging.WARNING, f"old checkpoints could not be deleted: {error}"
        case Restarting(error, delay_ms):
            line = logging.WARNING, f"failed and restarts in {delay_ms} ms: {error}"
        case StopForced(waited_ms):
            line = logging.WARNING, f"the stop is forced, no last checkpoint came within {waited_ms} ms"
        case StopFailed(error):
            line = logging.WARNING, f"failed while it was stopping, and does not restart: {error}"
        case ThreadAbandoned(thread):
            line = logging.WARNING, f"thread {thread} does not stop and is left behind"
    return line


def _level(status: JobStatus) -> int:
    if status is JobStatus.DEAD:
        return logging.ERROR
    return logging.INFO if status in _ENDS else logging.DEBUG


def _started(event: JobStarted) -> str:
    start = "started" if event.restored_from is None else f"continues from checkpoint {event.restored_from}"
    restart = f", restart {event.restart}" if event.restart else ""
    return f"{start}, execution {event.execution_id}, attempt {event.attempt}{restart}"
