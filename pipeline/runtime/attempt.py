"""One attempt at a job: open, restore, run, checkpoint, commit, close."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from checkpoint.barrier import CheckpointKind
from checkpoint.coordinator import (
    Abandon,
    CheckpointCoordinator,
    Clean,
    Command,
    Commit,
    CoordinatorSettings,
    Fail,
    Finished,
    Note,
    Persist,
    Trigger,
)
from checkpoint.manifest import Manifest
from checkpoint.storage.base import StorageAttempt
from pipeline.core.clock import Clock
from pipeline.core.config import JobConfig
from pipeline.core.elements import BEGINNING
from pipeline.core.errors import Fenced, InternalError, PipelineError, SinkError
from pipeline.core.faults import faultpoint
from pipeline.core.job import JobStatus
from pipeline.core.records import FailedRecord
from pipeline.runtime.commits import SinkCommits
from pipeline.runtime.control import Mailbox
from pipeline.runtime.counts import Counts
from pipeline.runtime.edges import edges_into
from pipeline.runtime.events import (
    Acknowledged,
    CheckpointCompleted,
    CheckpointFailed,
    CleanUpFailed,
    Declined,
    InputEnded,
    JobEvent,
    RowsDue,
    SinkFull,
    StopForced,
    StopRequested,
    SubtaskFailed,
    SubtaskLeft,
    TaskEvent,
)
from pipeline.runtime.lifecycle import THREAD_GRACE, Lifecycle
from pipeline.runtime.manifests import ManifestWriter, Restorer, handles_of, logs_of
from pipeline.runtime.result import EventTimeProgress, Progress
from pipeline.runtime.snapshot import Participant, SubtaskSnapshot
from pipeline.runtime.status import StatusTracker
from pipeline.runtime.stop_watch import StopWatch
from pipeline.runtime.wiring import Wired


class Aborted(Exception):
    """Somebody asked the job to leave at once."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended without an error.

    Args:
        state: the keyed state at the end.
    """

    status: JobStatus
    state: Mapping[str, Mapping[Any, Any]]


class Attempt:
    """Runs the wired subtasks from the job's thread, which is the only one that decides anything.

    Args:
        wired: the subtasks, nothing opened yet.
        config: resolved settings.
        storage: where checkpoints go; None for a job without.
        writer: makes manifests; None with `storage`.
        restored: the checkpoint to continue from.
        resumable: False if a source can only start over: no checkpoint before the end of input.
        mailbox: where subtasks and control put their events.
        tracker: the job's state.
        listener: hears events.
    """

    def __init__(
        self,
        wired: Wired,
        config: JobConfig,
        storage: StorageAttempt | None,
        writer: ManifestWriter | None,
        restored: Manifest | None,
        *,
        resumable: bool,
        mailbox: Mailbox,
        tracker: StatusTracker,
        listener: Callable[[JobEvent], None],
        clock: Clock,
    ) -> None:
        self._wired = wired
        self._config = config
        self._storage = storage
        self._writer = writer
        self._restored = restored
        self._resumable = resumable
        self._mailbox = mailbox
        self._backlog: deque[TaskEvent] = deque()
        self._tracker = tracker
        self._listener = listener
        self._clock = clock
        self._coordinator = CheckpointCoordinator(
            [subtask.participant for subtask in wired.subtasks], self._settings()
        )
        self._lifecycle = Lifecycle(wired, tracker, listener, clock)
        self._commits = SinkCommits(wired.sinks, self._pause, clock)
        self._rows: dict[Participant, int] = {}
        self._input_ended: set[Participant] = set()
        self._left: set[Participant] = set()
        self._stopping_until: int | None = None
        self._triggered_at = 0
        self._newest: Manifest | None = restored
        self.checkpoints = 0

    def _settings(self) -> CoordinatorSettings:
        config = self._config
        interval, rows, pause = (
            config.checkpoint_interval,
            config.checkpoint_rows,
            config.checkpoint_min_pause,
        )
        assert isinstance(pause, timedelta)
        periodic = self._storage is not None and self._resumable
        return CoordinatorSettings(
            first_checkpoint_id=1 if self._storage is None else self._storage.history.next_checkpoint_id,
            interval_ms=_ms(interval) if periodic and isinstance(interval, timedelta) else None,
            rows=rows if periodic and isinstance(rows, int) else None,
            min_pause_ms=_ms(pause),
            timeout_ms=_ms(config.checkpoint_timeout),
            tolerable_failures=config.tolerable_checkpoint_failures,
        )

    # --- the whole --------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Run to the end of the input or to a stop.

        Raises:
            Aborted: the job was told to leave at once.
            PipelineError: the first failure; everything is closed when it arrives.
        """
        try:
            self._initialise()
            self._start()
            kind = self._supervise()
            state = self._leave(kind)
        except BaseException as error:
            self._tear_down(error)
            raise
        self._tear_down(None)
        return Outcome(JobStatus.COMPLETED if kind is CheckpointKind.FINAL else JobStatus.CANCELLED, state)

    def progress(self) -> Progress:
        """Look at the attempt; any thread."""
        edges = [edge for inner in self._wired.inners for edge in edges_into(inner)]
        estimates = [source.estimate for source in self._wired.sources]
        known = [estimate for estimate in estimates if estimate is not None]
        counts = self.counts
        return Progress(
            self._tracker.status,
            processed=counts.processed,
            written=sum(counts.written.values()),
            written_by_sink=counts.written,
            failed=counts.failed,
            dropped=self.dropped,
            late=counts.late,
            estimated=sum(known) if known and len(known) == len(estimates) else None,
            checkpoints=self.checkpoints,
            last_checkpoint=None if self._newest is None else self._newest.checkpoint_id,
            edges=tuple(edges),
            event_time=self.event_time,
            open_windows=sum(hosted.operator.open_windows for hosted in self._wired.operators),
        )

    @property
    def counts(self) -> Counts:
        """What became of records, over all attempts of the execution."""
        none = Counts(written=dict.fromkeys((sink.uid for sink in self._wired.sinks), 0))
        return sum((subtask.counts for subtask in self._wired.subtasks), Counts.of(self._restored) + none)

    @property
    def dropped(self) -> int:
        """Records that buffers have dropped, likewise."""
        return sum(buffer.dropped for buffer in self._wired.buffers)

    @property
    def failed_records(self) -> list[FailedRecord]:
        """Samples of the records that failed in this attempt."""
        return [record for subtask in self._wired.subtasks for record in subtask.ctx.failed_records]

    @property
    def event_time(self) -> EventTimeProgress | None:
        """The event time of the source that is furthest back; any thread."""
        times = [(source, time) for source in self._wired.sources if (time := source.event_time) is not None]
        waited_for = [time for source, time in times if not (time.idle or source.input_ended)]
        if waited_for:
            return min(waited_for, key=_reached)
        return max((time for _, time in times), key=_reached, default=None)

    # --- INITIALIZING -----------------------------------------------------------------------------

    def _initialise(self) -> None:
        faultpoint("P17")
        with self._hearing_stop():
            self._lifecycle.open()
            self._tracker.change(JobStatus.INITIALIZING, "RESTORE")
            self._restore()

    @contextmanager
    def _hearing_stop(self) -> Generator[None]:
        """Let a stop end what the job's thread waits for while it opens and recovers."""
        patience = _ms(self._config.cancel_timeout)
        watch = StopWatch(self._mailbox, self._lifecycle.interrupt, patience, self._clock)
        try:
            with watch:
                yield
        except PipelineError as error:
            if watch.interrupted:
                raise Aborted from error
            raise
        if watch.interrupted:
            raise Aborted

    def _restore(self) -> None:
        manifest, storage = self._restored, self._storage
        if manifest is not None and storage is not None:
            restorer = Restorer(manifest, storage, self._wired)
            restorer.restore_sources_and_operators()
            self._commit_decided(manifest, storage)
            restorer.restore_sinks()
        for sink in self._wired.sinks:
            keep = [] if manifest is None else handles_of(manifest, sink.uid, sink.subtask)
            sink.begin(keep)

    def _commit_decided(self, manifest: Manifest, storage: StorageAttempt) -> None:
        """Commit again what the manifest decided, unless it is noted that all of it is done."""
        if storage.history.is_noted(manifest.checkpoint_id):
            return
        faultpoint("P16b")
        for sink in self._wired.sinks:
            sink.recover(
                manifest.checkpoint_id,
                handles_of(manifest, sink.uid, sink.subtask),
                logs_of(manifest, sink.uid, sink.subtask),
            )
        self._commits.commit(manifest.checkpoint_id)
        storage.note(manifest.checkpoint_id)

    def settle(self) -> None:
        """Commit what the restored checkpoint decided and perhaps nobody committed; no source is opened."""
        manifest, storage = self._restored, self._storage
        if manifest is None or storage is None:
            raise InternalError("nothing to settle without a checkpoint")
        faultpoint("P17")
        self._tracker.change(JobStatus.INITIALIZING, "RESTORE")
        try:
            with self._hearing_stop():
                Restorer(manifest, storage, self._wired).restore_buffers()
                for sink in self._wired.sinks:
                    sink.open()
                self._commit_decided(manifest, storage)
        except BaseException as error:
            self._lifecycle.close(self._coordinator.undecided_from, error)
            raise
        self._lifecycle.close(self._coordinator.undecided_from, None)

    # --- RUNNING ----------------------------------------------------------------------------------

    def _start(self) -> None:
        self._tracker.change(JobStatus.RUNNING)
        for subtask in reversed(self._wired.subtasks):
            subtask.start()

    def _supervise(self) -> CheckpointKind:
        """Carry out what the coordinator wants until it says that the run is over."""
        commands = deque(self._coordinator.start(self._now()))
        while True:
            while commands:
                command = commands.popleft()
                if isinstance(command, Finished):
                    return command.kind
                commands.extend(self._execute(command))
            event = self._next_event(self._deadline())
            commands.extend(self._coordinator.tick(self._now()) if event is None else self._handle(event))

    def _deadline(self) -> int | None:
        deadlines = (self._coordinator.next_deadline(), self._stopping_until)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _next_event(self, deadline: int | None) -> TaskEvent | None:
        if self._backlog:
            return self._backlog.popleft()
        timeout = None if deadline is None else max(0, deadline - self._now()) / 1000
        event = self._mailbox.get(timeout)
        if event is None and self._stopping_until is not None and self._now() >= self._stopping_until:
            self._listener(StopForced(_ms(self._config.cancel_timeout)))
            raise Aborted
        return event

    def _handle(self, event: TaskEvent) -> Sequence[Command]:
        coordinator, now = self._coordinator, self._now()
        match event:
            case Acknowledged(checkpoint_id, snapshot):
                return coordinator.acknowledge(checkpoint_id, snapshot.participant, snapshot, now)
            case Declined() | SinkFull():
                return self._hold_up(event)
            case SubtaskFailed(_, error):
                raise error
            case InputEnded() | SubtaskLeft():
                return self._ended(event)
            case RowsDue(participant, rows):
                self._rows[participant] = rows
                return coordinator.rows_emitted(sum(self._rows.values()), now)
            case StopRequested(at_once):
                return self._stop(at_once=at_once)

    def _ended(self, event: InputEnded | SubtaskLeft) -> Sequence[Command]:
        if isinstance(event, SubtaskLeft):
            self._left.add(event.participant)
            return ()
        self._input_ended.add(event.participant)
        if len(self._input_ended) < len(self._wired.sources):
            return ()
        return self._coordinator.request(CheckpointKind.FINAL, self._now())

    def _hold_up(self, event: Declined | SinkFull) -> Sequence[Command]:
        if isinstance(event, Declined):
            return self._coordinator.decline(
                event.checkpoint_id, event.participant, event.reason, self._now()
            )
        if self._storage is None or not self._resumable:
            raise SinkError(
                f"sink {event.uid} can take no more in one epoch, and only the end of the input can end it",
                retryable=False,
                hint="read from a source that can resume, with checkpoints, or allow the sink longer epochs",
            )
        return self._coordinator.hasten(self._now())

    def _stop(self, *, at_once: bool) -> Sequence[Command]:
        if at_once or not self._resumable:
            raise Aborted
        self._stopping_until = self._now() + _ms(self._config.cancel_timeout)
        return self._coordinator.request(CheckpointKind.STOP, self._now())

    # --- commands ---------------------------------------------------------------------------------

    def _execute(self, command: Command) -> Sequence[Command]:
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
                faultpoint("P10")
                if self._storage is not None:
                    self._storage.ensure_newest()
                self._commits.commit(checkpoint_id)
                faultpoint("P13")
                return self._coordinator.committed(checkpoint_id, self._now())
            case Note(checkpoint_id):
                return self._note(checkpoint_id)
            case Clean():
                self._clean()
            case Fail(error):
                raise error
            case Finished():
                raise InternalError("a finished run goes on")
        return ()

    def _persist(
        self, checkpoint_id: int, kind: CheckpointKind, snapshots: Mapping[Any, Any]
    ) -> Sequence[Command]:
        taken: list[SubtaskSnapshot] = list(snapshots.values())
        if self._writer is not None:
            try:
                self._newest = self._writer.write(checkpoint_id, kind, taken)
            except PipelineError as error:
                return self._coordinator.persist_failed(checkpoint_id, error, self._now())
        return self._coordinator.manifest_written(checkpoint_id, self._now())

    def _pause(self, milliseconds: int) -> None:
        """Wait, keeping events for later, unless one asks to leave at once."""
        until = self._now() + milliseconds
        while (left := until - self._now()) > 0:
            event = self._mailbox.get(left / 1000)
            if isinstance(event, StopRequested) and event.at_once:
                raise Aborted
            if event is not None:
                self._backlog.append(event)

    def _note(self, checkpoint_id: int) -> Sequence[Command]:
        if self._storage is not None:
            self._storage.note(checkpoint_id)
            faultpoint("P14")
            for source in self._wired.sources:
                source.committed(checkpoint_id)
            self.checkpoints += 1
            assert self._newest is not None
            self._listener(
                CheckpointCompleted(
                    checkpoint_id,
                    self._newest.kind.value,
                    self._now() - self._triggered_at,
                    self._newest.size_bytes,
                )
            )
        self._tracker.change(JobStatus.RUNNING)
        return self._coordinator.noted(checkpoint_id, self._now())

    def _clean(self) -> None:
        """Delete old checkpoints; failing at that loses nothing but space."""
        if self._storage is None:
            return
        try:
            self._storage.clean(self._config.checkpoint_retention)
        except Fenced:
            raise
        except PipelineError as error:
            self._listener(CleanUpFailed(error))

    def _abandon(self, checkpoint_id: int, reason: str) -> None:
        self._wired.parts.abandon(checkpoint_id)
        for subtask in self._wired.subtasks:
            subtask.abandon(checkpoint_id)
        self._listener(CheckpointFailed(checkpoint_id, reason))
        self._tracker.change(JobStatus.CHECKPOINT_FAILED)
        self._tracker.change(JobStatus.RUNNING)

    # --- the end ----------------------------------------------------------------------------------

    def _leave(self, kind: CheckpointKind) -> Mapping[str, Mapping[Any, Any]]:
        """Let the stream complete, or end it where it stands, and keep the final state."""
        if kind is CheckpointKind.FINAL:
            for source in self._wired.sources:
                source.finish()
            deadline = self._now() + _ms(THREAD_GRACE)
            while len(self._left) < len(self._wired.subtasks) and self._now() < deadline:
                event = self._next_event(deadline)
                if isinstance(event, SubtaskFailed):
                    raise event.error
                if isinstance(event, SubtaskLeft):
                    self._left.add(event.participant)
        self._lifecycle.end_threads()
        return self._lifecycle.final_state()

    def _tear_down(self, cause: BaseException | None) -> None:
        self._lifecycle.end_threads()
        self._lifecycle.close(self._coordinator.undecided_from, cause)

    def _now(self) -> int:
        return self._clock.monotonic_ms()


def _reached(time: EventTimeProgress) -> int:
    return BEGINNING if time.timestamp is None else time.timestamp


def _ms(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
