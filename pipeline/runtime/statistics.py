"""How the parts of a running job are: what `statistics()` of each returns."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.core.job import JobStatus


@dataclass(frozen=True, slots=True)
class InputStatistics:
    """An input of a subtask.

    Args:
        buffered: records that wait in it.
        capacity: records it may hold now; None for no bound.
        barrier_arrived: whether a barrier has come here, and is awaited at other inputs.
        ended: whether nothing more will come.
    """

    buffered: int
    capacity: int | None
    barrier_arrived: bool
    ended: bool


@dataclass(frozen=True, slots=True)
class SubtaskStatistics:
    """A subtask of a source or of another vertex.

    Args:
        name: of its vertex, and its number.
        thread: the name of its thread.
        state: in one word.
        demand: records that it may emit now.
        emitted: records that its source has emitted in this attempt; 0 without one.
        written: records that its sink has accepted in this attempt; 0 without one.
        suspended: whether output of a record in work waits for demand.
        inputs: in their order; none for a source.
    """

    name: str
    thread: str
    state: str
    demand: int
    emitted: int
    written: int
    suspended: bool
    inputs: tuple[InputStatistics, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckpointStatistics:
    """The checkpoints of an attempt.

    Args:
        in_flight: the one between its barrier and the note of its commit; None if there is none.
        kind: of that one; None if there is none.
        running_ms: how long it has taken so far, milliseconds.
        missing: the subtasks that have not answered yet.
        completed: how many this attempt has completed.
    """

    in_flight: int | None
    kind: str | None
    running_ms: int
    missing: tuple[str, ...]
    completed: int


@dataclass(frozen=True, slots=True)
class AttemptStatistics:
    """An attempt at a job.

    Args:
        status: the job's.
        checkpoints: how they are.
        parts_waiting: snapshots whose state is still to be stored.
        subtasks: sources first.
    """

    status: JobStatus
    checkpoints: CheckpointStatistics
    parts_waiting: int
    subtasks: tuple[SubtaskStatistics, ...]
