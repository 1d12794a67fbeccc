"""The state of a job: only allowed transitions, each reported to the listeners."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.core.errors import InternalError
from pipeline.core.job import TRANSITIONS, JobStatus
from pipeline.runtime.events import JobEvent, StatusChanged


class StatusTracker:
    """Keeps a job's state, refuses changes that may not happen, and tells the listener."""

    def __init__(self, listener: Callable[[JobEvent], None]) -> None:
        self.status = JobStatus.REGISTERED
        self.listener = listener

    def change(self, status: JobStatus, phase: str | None = None) -> None:
        """Go to `status`; `phase` names the part of INITIALIZING."""
        if status not in TRANSITIONS[self.status]:
            raise InternalError(f"a job cannot go from {self.status} to {status}")
        self.status = status
        self.listener(StatusChanged(status, phase))

    def fail(self) -> None:
        """Take the way to FAILED from wherever the job is; a checkpoint under way ends first."""
        if self.status is JobStatus.CHECKPOINTING:
            self.change(JobStatus.CHECKPOINT_FAILED)
        if self.status is JobStatus.SCHEDULED:
            self.change(JobStatus.INITIALIZING)
        self.change(JobStatus.FAILED)

    def cancel(self) -> None:
        """Take the way to CANCELLED from wherever the job is."""
        if self.status is JobStatus.CHECKPOINTING:
            self.change(JobStatus.CHECKPOINT_FAILED)
            self.change(JobStatus.RUNNING)
        if self.status is JobStatus.SCHEDULED:
            self.change(JobStatus.INITIALIZING)
        if self.status is JobStatus.INITIALIZING:
            self.change(JobStatus.RUNNING)
        self.change(JobStatus.CANCELLING)
        self.change(JobStatus.CANCELLED)
