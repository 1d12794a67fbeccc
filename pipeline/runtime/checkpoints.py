"""The checkpoints of one attempt: carries out what the coordinator decides, on the job's thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from checkpoint.barrier import CheckpointKind
from checkpoint.commands import (
    Abandon,
    Clean,
    Command,
    Commit,
    Fail,
    Finished,
    Note,
    Persist,
    Trigger,
)
from checkpoint.coordinator import CheckpointCoordinator
from checkpoint.manifest import Manifest
from checkpoint.schedule import CoordinatorSettings
from checkpoint.storage.base import StorageAttempt
from pipeline.core.clock import Clock
from pipeline.core.config import Settings
from pipeline.core.durations import whole_ms
from pipeline.core.errors import Fenced, InternalError, PipelineError
from pipeline.core.faults import faultpoint
from pipeline.core.job import JobStatus
from pipeline.runtime.commits import SinkCommits
from pipeline.runtime.events import (
    Acknowledged,
    CheckpointCompleted,
    CheckpointFailed,
    CleanUpFailed,
    Declined,
)
from pipeline.runtime.manifests import ManifestWriter
from pipeline.runtime.statistics import CheckpointStatistics
from pipeline.runtime.status import StatusTracker
from pipeline.runtime.wiring import Wired


@dataclass(frozen=True, slots=True)
class Stored:
    """Where an attempt stores checkpoints, and the one it continues from; a job without has none of it.

    Args:
        storage: this attempt's rights.
        writer: makes its manifests.
        restored: None for the beginning of the input.
        retention: how many complete checkpoints are kept.
        given_up: the last checkpoint of a run that did not complete and is not continued.
    """

    storage: StorageAttempt
    writer: ManifestWriter
    restored: Manifest | None
    retention: int
    given_up: Manifest | None = None


class Checkpoints:
    """Tells the coordinator what happened and carries out its commands, in their order.

    Args:
        wired: the subtasks.
        stored: where checkpoints go; None for a job that stores nothing, which still has epochs.
        settings: when checkpoints are taken.
        commits: commits an epoch at the sinks.
        tracker: the job's state, and who listens.

    Attributes:
        ended_by: the checkpoint that has ended the run; None while it runs.
        newest: the last complete one, or the one restored.
        completed: how many this attempt has completed.
    """

    def __init__(
        self,
        wired: Wired,
        stored: Stored | None,
        settings: CoordinatorSettings,
        commits: SinkCommits,
        tracker: StatusTracker,
        clock: Clock,
    ) -> None:
        self._wired = wired
        self._stored = stored
        self._commits = commits
        self._tracker = tracker
        self._clock = clock
        self._coordinator = CheckpointCoordinator(
            [subtask.participant for subtask in wired.subtasks], settings
        )
        self._triggered_at = 0
        self.ended_by: CheckpointKind | None = None
        self.newest = None if stored is None else stored.restored
        self.completed = 0

    @property
    def next_deadline(self) -> int | None:
        """When `tick` is wanted at the latest (monotonic ms); None if nothing waits for time to pass."""
        return self._coordinator.next_deadline()

    @property
    def undecided_from(self) -> int:
        """The lowest checkpoint id that surely has no manifest."""
        return self._coordinator.undecided_from

    def statistics(self) -> CheckpointStatistics:
        """How they are; any thread."""
        barrier = self._coordinator.in_flight
        return CheckpointStatistics(
            None if barrier is None else barrier.checkpoint_id,
            None if barrier is None else barrier.kind.value,
            0 if barrier is None else self._now() - self._triggered_at,
            self._coordinator.missing,
            self.completed,
        )

    def __repr__(self) -> str:
        return f"<Checkpoints: {self.completed} completed, {self._coordinator!r}>"

    def start(self, *, at_once: bool = False) -> None:
        """Count intervals from here.

        Args:
            at_once: take the first checkpoint now: something that only this run knows must be stored.
        """
        self._carry_out(self._coordinator.start(self._now(), at_once=at_once))

    def tick(self) -> None:
        """Let time pass."""
        self._carry_out(self._coordinator.tick(self._now()))

    def acknowledge(self, event: Acknowledged) -> None:
        """Take a subtask's snapshot."""
        snapshot = event.snapshot
        self._carry_out(
            self._coordinator.acknowledge(event.checkpoint_id, snapshot.participant, snapshot, self._now())
        )

    def decline(self, event: Declined) -> None:
        """Continue without the checkpoint that a subtask cannot take part in."""
        self._carry_out(
            self._coordinator.decline(event.checkpoint_id, event.participant, event.reason, self._now())
        )

    def rows_emitted(self, total: int) -> None:
        """Take note of the records that the sources have emitted in this attempt."""
        self._carry_out(self._coordinator.rows_emitted(total, self._now()))

    def hasten(self) -> None:
        """Let the epoch end as soon as the pause allows."""
        self._carry_out(self._coordinator.hasten(self._now()))

    def request(self, kind: CheckpointKind) -> None:
        """Take a checkpoint of this kind as soon as none is in flight."""
        self._carry_out(self._coordinator.request(kind, self._now()))

    # --- commands ---------------------------------------------------------------------------------

    def _carry_out(self, commands: Iterable[Command]) -> None:
        due = deque(commands)
        while due:
            due.extend(self._execute(due.popleft()))

    def _execute(self, command: Command) -> Iterable[Command]:
        match command:
            case Trigger(barrier):
                self._triggered_at = self._now()
                self._tracker.change(JobStatus.CHECKPOINTING)
                for source in self._wired.sources:
                    source.inject(barrier)
            case Abandon(checkpoint_id, reason):
                self._abandon(checkpoint_id, reason)
            case Persist(checkpoint_id, kind, snapshots):
                return self._persist(checkpoint_id, kind, snapshots)
            case Commit(checkpoint_id):
                return self._commit(checkpoint_id)
            case Note(checkpoint_id):
                return self._note(checkpoint_id)
            case Clean():
                self.clean()
            case Fail(error):
                raise error
            case Finished(kind):
                if self.ended_by is not None:
                    raise InternalError(f"a run that {self.ended_by} has ended is ended by {kind}")
                self.ended_by = kind
        return ()

    def _abandon(self, checkpoint_id: int, reason: str) -> None:
        self._wired.parts.abandon(checkpoint_id)
        for subtask in self._wired.subtasks:
            subtask.abandon(checkpoint_id)
        self._tracker.listener(CheckpointFailed(checkpoint_id, reason))
        self._tracker.change(JobStatus.CHECKPOINT_FAILED)
        self._tracker.change(JobStatus.RUNNING)

    def _persist(
        self, checkpoint_id: int, kind: CheckpointKind, snapshots: Mapping[Any, Any]
    ) -> Iterable[Command]:
        if self._stored is not None:
            try:
                self.newest = self._stored.writer.write(checkpoint_id, kind, snapshots.values())
            except PipelineError as error:
                return self._coordinator.persist_failed(checkpoint_id, error, self._now())
        return self._coordinator.manifest_written(checkpoint_id, self._now())

    def _commit(self, checkpoint_id: int) -> Iterable[Command]:
        faultpoint("P10")
        if self._stored is not None:
            self._stored.storage.ensure_newest()
        self._commits.commit(checkpoint_id)
        faultpoint("P13")
        return self._coordinator.committed(checkpoint_id, self._now())

    def _note(self, checkpoint_id: int) -> Iterable[Command]:
        if self._stored is not None and self.newest is not None:
            self._stored.storage.note(checkpoint_id)
            faultpoint("P14")
            for source in self._wired.sources:
                source.committed(checkpoint_id)
            self.completed += 1
            took = self._now() - self._triggered_at
            self._tracker.listener(
                CheckpointCompleted(checkpoint_id, self.newest.kind.value, took, self.newest.size_bytes)
            )
        self._tracker.change(JobStatus.RUNNING)
        return self._coordinator.noted(checkpoint_id, self._now())

    def clean(self) -> None:
        """Delete old checkpoints; failing at that loses nothing but space."""
        if self._stored is None:
            return
        try:
            self._stored.storage.clean(self._stored.retention)
        except Fenced:
            raise
        except PipelineError as error:
            self._tracker.listener(CleanUpFailed(error))

    def _now(self) -> int:
        return self._clock.monotonic_ms()


def settings_of(config: Settings, stored: Stored | None, *, resumable: bool) -> CoordinatorSettings:
    """Say when checkpoints are taken.

    Args:
        config: resolved settings.
        resumable: False if a source can only start over: no checkpoint before the end of input.
    """
    interval, rows = config.checkpoint_interval, config.checkpoint_rows
    periodic = stored is not None and resumable
    return CoordinatorSettings(
        first_checkpoint_id=1 if stored is None else stored.storage.history.next_checkpoint_id,
        interval_ms=whole_ms(interval) if periodic and interval is not None else None,
        rows=rows if periodic else None,
        min_pause_ms=whole_ms(config.checkpoint_min_pause),
        timeout_ms=whole_ms(config.checkpoint_timeout),
        tolerable_failures=config.tolerable_checkpoint_failures,
    )
