"""What the parts of a running job tell the job's thread, and what the job tells those who listen."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.errors import CheckpointError
from pipeline.core.job import JobStatus
from pipeline.runtime.snapshot import Participant, SubtaskSnapshot

# --- to the job's thread -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A subtask has taken its part of a checkpoint."""

    checkpoint_id: int
    snapshot: SubtaskSnapshot


@dataclass(frozen=True, slots=True)
class Declined:
    """A subtask cannot take part in a checkpoint; its stream continues."""

    checkpoint_id: int
    participant: Participant
    reason: CheckpointError


@dataclass(frozen=True, slots=True)
class SinkFull:
    """A sink takes no more records before the next checkpoint."""

    uid: str


@dataclass(frozen=True, slots=True)
class SubtaskFailed:
    """A subtask's thread ended with an error."""

    participant: Participant
    error: Exception


@dataclass(frozen=True, slots=True)
class InputEnded:
    """A source has read its last record."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class SubtaskLeft:
    """A subtask's thread is about to end after the stream's completion."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class RowsDue:
    """A source has emitted as many records since its last barrier as a checkpoint is wanted after.

    Args:
        rows: records it has emitted since this attempt began.
    """

    participant: Participant
    rows: int


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody wants the job to end: with a last checkpoint, or at once."""

    at_once: bool


TaskEvent = (
    Acknowledged | Declined | SinkFull | SubtaskFailed | InputEnded | SubtaskLeft | RowsDue | StopRequested
)

# --- to listeners ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JobStarted:
    """An attempt begins.

    Args:
        restored_from: the checkpoint it continues from, None for a fresh start.
        processed: records the execution had read up to there.
        restart: how often the job has been restarted within this run.
        resumable: False if a restart of it would begin again.
        durable: False if another run of it would begin again, though a restart continues.
        remarks: what people should know of the job before its output, such as windows that go by the clock.
    """

    job: str
    execution_id: str
    attempt: int
    restored_from: int | None
    processed: int
    restart: int
    resumable: bool = True
    durable: bool = True
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatusChanged:
    """The job's state changed; `phase` names the part of INITIALIZING."""

    status: JobStatus
    phase: str | None = None


@dataclass(frozen=True, slots=True)
class CheckpointCompleted:
    """A checkpoint is complete and its epoch committed.

    Args:
        duration_ms: from the trigger to the note.
        size_bytes: stored state.
    """

    checkpoint_id: int
    kind: str
    duration_ms: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CheckpointFailed:
    """A checkpoint was given up; its epoch is committed with the next one."""

    checkpoint_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class CleanUpFailed:
    """Old checkpoints could not be deleted; they take space, nothing is lost."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Restarting:
    """The job failed and starts again after a delay."""

    error: Exception
    delay_ms: int


@dataclass(frozen=True, slots=True)
class ThreadAbandoned:
    """A thread did not stop in time, most likely inside a user's function, and is left behind."""

    thread: str


@dataclass(frozen=True, slots=True)
class StopForced:
    """The last checkpoint of a stop did not get through in time; the job leaves without it.

    Args:
        waited_ms: how long it was given, `cancel_timeout`.
    """

    waited_ms: int


@dataclass(frozen=True, slots=True)
class StopFailed:
    """The job failed after it was asked to stop; it leaves without a last checkpoint and does not restart."""

    error: Exception


JobEvent = (
    JobStarted
    | StatusChanged
    | CheckpointCompleted
    | CheckpointFailed
    | CleanUpFailed
    | Restarting
    | StopFailed
    | StopForced
    | ThreadAbandoned
)
