"""What a run gives back, and what can be seen of it while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pipeline.core.job import JobStatus


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a run ended.

    Args:
        status: COMPLETED or CANCELLED; a run that fails raises instead, with this as `error.result`.
        processed_records: records its sources emitted, over all attempts of the execution.
        failed_records: records that its functions could not handle and a policy let pass.
        duration: of this run, restarts included.
        state: the keyed state at the end, `{uid: {key: value}}`.
        execution_id: stays the same when a killed run is started again.
        checkpoints: how many checkpoints this run completed.
        restarts: how often this run started again after a failure.
        restored_from: the checkpoint this run began with, None for a fresh start.
        checkpoint_path: the job's folder of checkpoints, None without checkpoints.
    """

    status: JobStatus
    processed_records: int
    failed_records: int
    duration: timedelta
    state: Mapping[str, Mapping[Any, Any]]
    execution_id: str
    checkpoints: int = 0
    restarts: int = 0
    restored_from: int | None = None
    checkpoint_path: str | None = None


@dataclass(frozen=True, slots=True)
class EdgeProgress:
    """The hand-over into one subtask.

    Args:
        buffered, capacity: records it holds, and may hold now.
    """

    name: str
    buffered: int
    capacity: int


@dataclass(frozen=True, slots=True)
class Progress:
    """A look at a running job.

    Args:
        processed: records emitted by the sources, over all attempts of the execution.
        written: records handed to the sinks in this attempt.
        failed: records let pass by a policy.
        estimated: about how many records there are in all, None where unknown.
        checkpoints: completed in this run.
        last_checkpoint: id of the newest, None if there is none.
        edges: the hand-overs between vertices.
    """

    status: JobStatus
    processed: int = 0
    written: int = 0
    failed: int = 0
    estimated: int | None = None
    checkpoints: int = 0
    last_checkpoint: int | None = None
    edges: tuple[EdgeProgress, ...] = field(default=())
