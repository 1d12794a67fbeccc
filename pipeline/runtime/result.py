"""The result of a run, and its progress while it runs."""

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
        failed_records: records that were skipped or dead-lettered.
        written_records: records its sinks accepted, over all attempts of the execution.
        written_by_sink: the same for each sink, by uid.
        failed_samples: the first few different records that failed in this run, for each operator.
        dropped_records: records that DROP and LATEST dropped, over all attempts of the execution.
        duration: of this run, restarts included.
        state: the keyed state at the end, `{uid: {key: value}}`.
        execution_id: the same when a killed run is started again.
        checkpoints: number of checkpoints that this run completed.
        restarts: number of restarts after failures in this run.
        restored_from: the checkpoint from which this run continued; None for a fresh start.
        checkpoint_path: the job's folder of checkpoints; None without checkpoints.
        late_records: records too late for their windows that went to no side output.
        event_time: the watermark at the end, milliseconds UTC; None without event time.
        remarks: notes of sources and sinks about their input and target, one line each.

    Example:
        result = job.execute()
        print(result.status, result.written_records)
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
    """The channel or buffer into one subtask.

    Args:
        name: of the vertex that reads from it; of a buffer with a strategy, its uid.
        buffered: records that it holds.
        capacity: records that it may hold now; None without a bound.
        strategy: what it does when it is full; a channel always has BUFFER.
        dropped: records it has dropped, over all attempts of the execution.
        active: whether it is holding upstream back, or losing records.
        request_rate: records per second that it has requested lately; None without limit.
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
    """How far event time has advanced, and what it waits for.

    Args:
        source: uid of the slowest source; windows fire by its watermark.
        timestamp: its watermark, milliseconds UTC; None before it has one.
        lag_ms: how far the watermark is behind the clock; None before there is one.
        held_by: the split that holds back the others of the source; None if none does.
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
    """The progress of a running job.

    Args:
        status: of the job.
        processed: records emitted by the sources, over all attempts of the execution.
        written: records accepted by the sinks, over all attempts of the execution.
        written_by_sink: the same for each sink, by uid.
        failed: records that were skipped or dead-lettered.
        dropped: records dropped by buffers, over all attempts of the execution.
        late: records too late for their windows that went to no side output.
        estimated: approximate number of records in all; None if unknown.
        checkpoints: completed in this run.
        last_checkpoint: id of the newest; None if there is none.
        edges: the channels and buffers between vertices.
        event_time: of the slowest source; None if no window uses event time.
        open_windows: windows that hold records, in all subtasks.
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
