"""The life cycle of a job: its modes, its states and the transitions between them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class JobMode(StrEnum):
    """The kind of job; it follows from the sources unless set.

    Attributes:
        STREAMING: unbounded input, read until the job is stopped.
        BATCH_ROLLER: bounded input.
        SQL_TASK: the result of a query.
    """

    STREAMING = "STREAMING"
    BATCH_ROLLER = "BATCH_ROLLER"
    SQL_TASK = "SQL_TASK"


class JobStatus(StrEnum):
    """The states of a job; a `JobResult` has COMPLETED or CANCELLED."""

    REGISTERED = "REGISTERED"
    SCHEDULED = "SCHEDULED"
    INITIALIZING = "INITIALIZING"
    RUNNING = "RUNNING"
    CHECKPOINTING = "CHECKPOINTING"
    CHECKPOINT_FAILED = "CHECKPOINT_FAILED"
    CANCELLING = "CANCELLING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    DEAD = "DEAD"


_S = JobStatus

TRANSITIONS: Final[Mapping[JobStatus, frozenset[JobStatus]]] = {
    _S.REGISTERED: frozenset({_S.SCHEDULED}),
    _S.SCHEDULED: frozenset({_S.INITIALIZING}),
    _S.INITIALIZING: frozenset({_S.INITIALIZING, _S.RUNNING, _S.FAILED}),  # from one phase to the next
    _S.RUNNING: frozenset({_S.CHECKPOINTING, _S.COMPLETED, _S.FAILED, _S.CANCELLING}),
    _S.CHECKPOINTING: frozenset({_S.RUNNING, _S.CHECKPOINT_FAILED}),
    _S.CHECKPOINT_FAILED: frozenset({_S.RUNNING, _S.FAILED}),
    _S.CANCELLING: frozenset({_S.CANCELLED}),
    _S.FAILED: frozenset({_S.SCHEDULED, _S.DEAD}),
    _S.COMPLETED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.DEAD: frozenset(),
}
"""The allowed transitions; every other is an error."""
