"""Decides when checkpoints are taken and what happens next in each: no threads, no I/O, no clock.

    idle ─Trigger→ collecting ─Persist→ persisting ─Commit→ committing ─Note→ noting ─Clean→ idle
                       └──────────Abandon──┴→ idle, or ended by Fail

The shell that drives it tells what happened, with the time, and carries out the commands it is
given, in their order. One epoch at a time is between its barrier and the note of its commit.

Checkpoint ids always grow. A declined checkpoint is tried again under a fresh id, so that late
answers to the old one cannot be mistaken; manifests, which alone make a number count, may
therefore skip some. A manifest that appears after its checkpoint was declined (a slow store) does
no harm: the next one lists its transactions again, and a recovery commits whatever it finds.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

from checkpoint.barrier import Barrier, CheckpointKind
from checkpoint.commands import (
    Abandon,
    Clean,
    Command,
    Commit,
    Fail,
    Finished,
    Note,
    Participant,
    Persist,
    Trigger,
)
from checkpoint.schedule import CheckpointSchedule, CoordinatorSettings
from pipeline.core.errors import CheckpointError, InternalError, PipelineError


class _Phase(Enum):
    NEW = auto()
    IDLE = auto()
    COLLECTING = auto()
    PERSISTING = auto()
    COMMITTING = auto()
    NOTING = auto()
    ENDED = auto()


_UNDECIDED: Final = (_Phase.COLLECTING, _Phase.PERSISTING)


class CheckpointCoordinator:
    """The state machine of one run's checkpoints.

    Every method that takes `now` (monotonic milliseconds) returns the commands to carry out.
    Answers that come late, twice, or to a checkpoint that is over, change nothing. Call it from
    one thread at a time.

    Args:
        participants: who must acknowledge each barrier, fixed for the run.
        settings: when and how often.

    Example:
        >>> coordinator = CheckpointCoordinator({"a"}, CoordinatorSettings(1, interval_ms=1000))
        >>> coordinator.start(now=0), coordinator.next_deadline()
        ([], 1000)
        >>> coordinator.tick(now=1000)
        [Trigger(barrier=Barrier(checkpoint_id=1, kind=<CheckpointKind.PERIODIC: 'PERIODIC'>))]
    """

    def __init__(self, participants: Iterable[Participant], settings: CoordinatorSettings) -> None:
        self._participants = frozenset(participants)
        if not self._participants:
            raise InternalError("a checkpoint needs at least one participant, found none")
        self._settings = settings
        self._phase = _Phase.NEW
        self._barrier = Barrier(settings.first_checkpoint_id - 1, CheckpointKind.PERIODIC)
        self._snapshots: dict[Participant, object] = {}
        self._undecided_from = settings.first_checkpoint_id
        self._failures = 0
        self._savepoint_wanted = False
        self._ending: CheckpointKind | None = None
        self._schedule = CheckpointSchedule(settings)

    @property
    def undecided_from(self) -> int:
        """The lowest checkpoint id that surely has no manifest: what waits for it may be aborted."""
        return self._undecided_from

    @property
    def in_flight(self) -> Barrier | None:
        """The checkpoint between its barrier and its note, None if there is none."""
        return None if self._phase in (_Phase.NEW, _Phase.IDLE, _Phase.ENDED) else self._barrier

    @property
    def missing(self) -> tuple[str, ...]:
        """Who has not answered the checkpoint in flight yet; any thread."""
        if self._phase is not _Phase.COLLECTING:
            return ()
        answered = self._snapshots.copy()  # which another thread may not change while it is looked at
        return tuple(sorted(str(one) for one in self._participants if one not in answered))

    def __repr__(self) -> str:
        return f"<CheckpointCoordinator: {self._phase.name}, checkpoint {self._barrier.checkpoint_id}>"

    def next_deadline(self) -> int | None:
        """Return when `tick` is wanted at the latest; None if nothing waits for time to pass."""
        if self._phase in _UNDECIDED:
            return self._schedule.expires_at
        return self._schedule.due_at if self._phase is _Phase.IDLE else None

    def start(self, now: int, *, at_once: bool = False) -> list[Command]:
        """Begin: intervals and pauses count from here.

        Args:
            at_once: take a checkpoint now, and again after each pause until one succeeds: something that
                only this run knows must be stored.
        """
        self._phase = _Phase.IDLE
        self._schedule.start(now, at_once=at_once)
        return self._trigger_if_due(now)

    def tick(self, now: int) -> list[Command]:
        """Let time pass: decline what takes too long, trigger what is due."""
        if self._phase in _UNDECIDED and now >= self._schedule.expires_at:
            missing = ", ".join(sorted(str(one) for one in self._participants - self._snapshots.keys()))
            waited_for = f"no answer from {missing}" if missing else "no manifest"
            return self._decline(f"{waited_for} within {self._settings.timeout_ms} ms", now)
        return self._trigger_if_due(now)

    def rows_emitted(self, total: int, now: int) -> list[Command]:
        """Record how many records the sources have emitted since the start of the run, in total."""
        self._schedule.rows_emitted(total)
        return self._trigger_if_due(now)

    def hasten(self, now: int) -> list[Command]:
        """End this epoch as soon as the pause allows: a participant can take no more in it."""
        self._schedule.hasten()
        return self._trigger_if_due(now)

    def request(self, kind: CheckpointKind, now: int) -> list[Command]:
        """Ask for a savepoint, or for the checkpoint that ends the run, as soon as none is in flight.

        It waits for no interval and no pause. Savepoints asked for before one begins are one; a
        failed one is not tried again. STOP and FINAL are tried until they succeed or the tolerated
        failures are used up; FINAL replaces a STOP that has not begun, or has to begin again.
        """
        if kind is CheckpointKind.SAVEPOINT:
            self._savepoint_wanted = True
        elif kind is CheckpointKind.FINAL or (kind is CheckpointKind.STOP and self._ending is None):
            self._ending = kind
        return self._trigger_if_due(now)

    def acknowledge(
        self, checkpoint_id: int, participant: Participant, snapshot: object, now: int
    ) -> list[Command]:
        """Take a participant's snapshot.

        Raises:
            InternalError: nobody knows this participant, or this checkpoint was never triggered.
        """
        if not self._concerns(checkpoint_id, participant) or self._phase is not _Phase.COLLECTING:
            return []
        self._snapshots.setdefault(participant, snapshot)
        if self._snapshots.keys() != self._participants:
            return []
        self._phase = _Phase.PERSISTING
        self._undecided_from = checkpoint_id + 1
        return [Persist(checkpoint_id, self._barrier.kind, dict(self._snapshots))]

    def decline(
        self, checkpoint_id: int, participant: Participant, reason: Exception, now: int
    ) -> list[Command]:
        """A participant cannot take part in the checkpoint; the job runs on without it.

        Raises:
            InternalError: nobody knows this participant, or this checkpoint was never triggered.
        """
        if not self._concerns(checkpoint_id, participant) or self._phase not in _UNDECIDED:
            return []
        return self._decline(f"{participant} declined: {reason}", now, cause=reason)

    def persist_failed(self, checkpoint_id: int, error: Exception, now: int) -> list[Command]:
        """The manifest could not be stored.

        An error that a retry cannot help, such as being fenced or a failed fsync, fails the run at
        once; any other declines the checkpoint.
        """
        if not self._is_current(checkpoint_id) or self._phase is not _Phase.PERSISTING:
            return []
        if isinstance(error, PipelineError) and not error.retryable:
            self._phase = _Phase.ENDED
            return [Fail(error)]
        return self._decline(str(error), now, cause=error)

    def manifest_written(self, checkpoint_id: int, now: int) -> list[Command]:
        """The manifest is durable: the checkpoint is complete."""
        if not self._is_current(checkpoint_id) or self._phase is not _Phase.PERSISTING:
            return []
        self._phase = _Phase.COMMITTING
        self._failures = 0
        self._schedule.complete()
        return [Commit(checkpoint_id)]

    def committed(self, checkpoint_id: int, now: int) -> list[Command]:
        """Every sink has committed."""
        if not self._is_current(checkpoint_id) or self._phase is not _Phase.COMMITTING:
            return []
        self._phase = _Phase.NOTING
        return [Note(checkpoint_id)]

    def noted(self, checkpoint_id: int, now: int) -> list[Command]:
        """The note of the commit is durable: the epoch is over."""
        if not self._is_current(checkpoint_id) or self._phase is not _Phase.NOTING:
            return []
        if self._barrier.kind.ends_run:
            self._phase = _Phase.ENDED
            return [Clean(checkpoint_id), Finished(self._barrier.kind)]
        self._become_idle(now)
        return [Clean(checkpoint_id), *self._trigger_if_due(now)]

    def _concerns(self, checkpoint_id: int, participant: Participant) -> bool:
        if participant not in self._participants:
            known = ", ".join(sorted(str(one) for one in self._participants))
            raise InternalError(
                f"checkpoint {checkpoint_id} was answered by {participant}, which is not one of {known}"
            )
        return self._is_current(checkpoint_id)

    def _is_current(self, checkpoint_id: int) -> bool:
        if checkpoint_id > self._barrier.checkpoint_id:
            raise InternalError(
                f"checkpoint {checkpoint_id} was answered, yet the last one triggered is "
                f"{self._barrier.checkpoint_id}"
            )
        return checkpoint_id == self._barrier.checkpoint_id

    def _trigger_if_due(self, now: int) -> list[Command]:
        kind = self._wanted(now) if self._phase is _Phase.IDLE else None
        if kind is None:
            return []
        if kind is CheckpointKind.SAVEPOINT:
            self._savepoint_wanted = False
        self._barrier = Barrier(self._barrier.checkpoint_id + 1, kind)
        self._phase = _Phase.COLLECTING
        self._snapshots.clear()
        self._schedule.triggered(now)
        return [Trigger(self._barrier)]

    def _wanted(self, now: int) -> CheckpointKind | None:
        if self._savepoint_wanted:
            return CheckpointKind.SAVEPOINT
        if self._ending is not None:
            return self._ending
        due_at = self._schedule.due_at
        return CheckpointKind.PERIODIC if due_at is not None and now >= due_at else None

    def _decline(self, reason: str, now: int, cause: Exception | None = None) -> list[Command]:
        checkpoint_id = self._barrier.checkpoint_id
        self._failures += 1
        if self._failures <= self._settings.tolerable_failures:
            self._become_idle(now)
            return [Abandon(checkpoint_id, reason), *self._trigger_if_due(now)]
        self._phase = _Phase.ENDED
        error = CheckpointError(
            f"checkpoint {checkpoint_id} failed: {reason}; it is failure {self._failures} in a row, "
            f"tolerable_checkpoint_failures is {self._settings.tolerable_failures}",
            hint="fix the cause, or raise tolerable_checkpoint_failures or checkpoint_timeout",
        )
        error.__cause__ = cause
        return [Abandon(checkpoint_id, reason), Fail(error)]

    def _become_idle(self, now: int) -> None:
        self._phase = _Phase.IDLE
        self._snapshots.clear()
        self._schedule.over(now)
