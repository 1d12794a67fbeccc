"""What a run gives back, and what can be seen of it while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pipeline.core.config import BackpressureStrategy
from pipeline.core.job import JobStatus
from pipeline.core.records import FailedRecord


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a run ended.

    Args:
        status: COMPLETED or CANCELLED; a run that fails raises instead, with this as `error.result`.
        processed_records: records its sources emitted, over all attempts of the execution.
        failed_records: records that its functions could not handle and a policy let pass.
        written_records: records its sinks have taken, over all attempts of the execution.
        written_by_sink: the same for each sink, by uid.
        failed_samples: the first few different records that failed in this run, for each operator.
        dropped_records: records that DROP and LATEST have dropped, over all attempts of the execution.
        duration: of this run, restarts included.
        state: the keyed state at the end, `{uid: {key: value}}`.
        execution_id: stays the same when a killed run is started again.
        checkpoints: how many checkpoints this run completed.
        restarts: how often this run started again after a failure.
        restored_from: the checkpoint this run began with, None for a fresh start.
        checkpoint_path: the job's folder of checkpoints, None without checkpoints.
        late_records: records that came too late for their windows, where no side output takes them.
        event_time: how far event time had come at the end, milliseconds UTC; None where there is none.
        remarks: what sources and sinks have to say about their input and target, one line each.
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
    dropped_records: int = 0
    checkpoint_path: str | None = None
    late_records: int = 0
    written_records: int = 0
    written_by_sink: Mapping[str, int] = field(default_factory=dict[str, int])
    failed_samples: tuple[FailedRecord, ...] = ()
    event_time: int | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EdgeProgress:
    """A hand-over into one subtask.

    Args:
        name: of the vertex behind it; of a buffer with a strategy, its uid.
        buffered, capacity: records it holds, and may hold now; a capacity of None is without a bound.
        strategy: what it does when it is full; BUFFER, of any hand-over, holds back what is before it.
        dropped: records it has dropped, over all attempts of the execution.
        active: whether it holds back what is before it, or loses records, now.
        request_rate: records a second that it asks for, lately; None where it asks without limit.
    """

    name: str
    buffered: int
    capacity: int | None
    strategy: BackpressureStrategy = BackpressureStrategy.BUFFER
    dropped: int = 0
    active: bool = False
    request_rate: float | None = None


@dataclass(frozen=True, slots=True)
class EventTimeProgress:
    """How far event time has come, and what it waits for.

    Args:
        source: uid of the source that is furthest back; windows fire by it.
        timestamp: its watermark, milliseconds UTC; None before it has one.
        lag_ms: how far that is behind the clock; None before there is a watermark.
        held_by: the split that keeps the others of the source waiting; None if none does.
        behind_ms: how far that split is behind the furthest; None if it has emitted nothing yet.
        idle: whether every source is idle, so that nothing is waited for.
    """

    source: str
    timestamp: int | None = None
    lag_ms: int | None = None
    held_by: str | None = None
    behind_ms: int | None = None
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """A look at a running job.

    Args:
        processed: records emitted by the sources, over all attempts of the execution.
        written: records taken by the sinks, over all attempts of the execution.
        written_by_sink: the same for each sink, by uid.
        failed: records let pass by a policy.
        dropped: records dropped by buffers, over all attempts of the execution.
        late: records that came too late for their windows, where no side output takes them.
        estimated: about how many records there are in all, None where unknown.
        checkpoints: completed in this run.
        last_checkpoint: id of the newest, None if there is none.
        edges: the hand-overs between vertices.
        event_time: of the source that is furthest back; None where no window goes by event time.
        open_windows: windows that hold records and have not been dropped yet, in all subtasks.
    """

    status: JobStatus
    processed: int = 0
    written: int = 0
    failed: int = 0
    dropped: int = 0
    late: int = 0
    estimated: int | None = None
    checkpoints: int = 0
    last_checkpoint: int | None = None
    edges: tuple[EdgeProgress, ...] = field(default=())
    written_by_sink: Mapping[str, int] = field(default_factory=dict[str, int])
    event_time: EventTimeProgress | None = None
    open_windows: int = 0
