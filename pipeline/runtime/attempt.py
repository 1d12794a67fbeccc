"""One attempt at a job: open, restore, run, checkpoint, commit, close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from checkpoint.barrier import CheckpointKind
from pipeline.core.clock import Clock
from pipeline.core.config import Settings
from pipeline.core.counts import PROCESSED
from pipeline.core.durations import whole_ms
from pipeline.core.errors import InternalError, SinkError
from pipeline.core.faults import faultpoint
from pipeline.core.job import JobStatus
from pipeline.runtime.checkpoints import Checkpoints, Stored, settings_of
from pipeline.runtime.commits import SinkCommits
from pipeline.runtime.control import Mailbox
from pipeline.runtime.events import (
    Acknowledged,
    Declined,
    InputEnded,
    RowsDue,
    SinkFull,
    StopRequested,
    SubtaskFailed,
    SubtaskLeft,
    TaskEvent,
)
from pipeline.runtime.incoming import Aborted, Incoming
from pipeline.runtime.lifecycle import THREAD_GRACE, Lifecycle
from pipeline.runtime.recovery import Recovery, handles_of
from pipeline.runtime.result import Progress
from pipeline.runtime.snapshot import Participant
from pipeline.runtime.starts import Starts
from pipeline.runtime.statistics import AttemptStatistics
from pipeline.runtime.status import StatusTracker
from pipeline.runtime.view import AttemptView
from pipeline.runtime.wiring import Wired
from state.encoding import from_json


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
        stored: where checkpoints go and the one to continue from; None for a job without.
        resumable: False if a source can only start over: no checkpoint before the end of input.
        starts: where the sources of this run began.
        mailbox: where subtasks and control put their events.
        tracker: the job's state, and who listens.

    Attributes:
        view: what can be seen of it.
    """

    def __init__(
        self,
        wired: Wired,
        config: Settings,
        stored: Stored | None,
        *,
        resumable: bool,
        starts: Starts,
        mailbox: Mailbox,
        tracker: StatusTracker,
        clock: Clock,
    ) -> None:
        self._wired = wired
        self._stored = stored
        self._resumable = resumable
        self._starts = starts
        self._tracker = tracker
        self._clock = clock
        self._incoming = Incoming(mailbox, whole_ms(config.cancel_timeout), clock, tracker.listener)
        self._commits = SinkCommits(wired.sinks, self._incoming.pause, clock)
        settings = settings_of(config, stored, resumable=resumable)
        self._checkpoints = Checkpoints(wired, stored, settings, self._commits, tracker, clock)
        self._lifecycle = Lifecycle(wired, tracker, clock)
        self._heard = _Heard()
        self.view = AttemptView(wired, None if stored is None else stored.restored)

    def run(self) -> Outcome:
        """Run to the end of the input or to a stop.

        Raises:
            Aborted: the job was aborted.
            PipelineError: the first failure; everything is closed when it arrives.
        """
        try:
            begun_unstored = self._initialise()
            self._start()
            kind = self._supervise(begun_unstored=begun_unstored)
            state = self._leave(kind)
        except BaseException as error:
            self._tear_down(error)
            raise
        self._tear_down(None)
        return Outcome(JobStatus.COMPLETED if kind is CheckpointKind.FINAL else JobStatus.CANCELLED, state)

    def settle(self) -> None:
        """Commit what the restored checkpoint decided and perhaps nobody committed; no source is opened."""
        recovery = self._recovery()
        if recovery is None:
            raise InternalError("nothing to settle without a checkpoint")
        faultpoint("P17")
        self._tracker.change(JobStatus.INITIALIZING, "RESTORE")
        try:
            with self._incoming.interrupting(self._lifecycle.interrupt):
                recovery.restore_buffers()
                for sink in self._wired.sinks:
                    sink.open()
                recovery.commit_decided()
                self._checkpoints.clean()
        except BaseException as error:
            self._lifecycle.close(self._checkpoints.undecided_from, error)
            raise
        self._lifecycle.close(self._checkpoints.undecided_from, None)

    @property
    def completed_checkpoints(self) -> int:
        """How many checkpoints it has completed."""
        return self._checkpoints.completed

    @property
    def progressed(self) -> bool:
        """Whether a checkpoint of its own covers records beyond those it began with."""
        newest, restored = self._checkpoints.newest, None if self._stored is None else self._stored.restored
        if newest is None or self._checkpoints.completed == 0:
            return False
        read = newest.counters.get(PROCESSED, 0)
        return read > (0 if restored is None else restored.counters.get(PROCESSED, 0))

    @property
    def stop_requested(self) -> bool:
        """Whether somebody has asked it to stop."""
        return self._incoming.stop_requested

    def statistics(self) -> AttemptStatistics:
        """How each of its parts is; any thread."""
        return AttemptStatistics(
            self._tracker.status,
            self._checkpoints.statistics(),
            self._wired.parts.waiting,
            tuple(subtask.statistics() for subtask in self._wired.subtasks),
        )

    def __repr__(self) -> str:
        return (
            f"<Attempt: {self._tracker.status}, {len(self._wired.subtasks)} subtasks, {self._checkpoints!r}>"
        )

    def progress(self) -> Progress:
        """Look at the attempt; any thread."""
        return self.view.progress(self._tracker.status, self._checkpoints.completed, self._checkpoints.newest)

    # --- INITIALIZING -----------------------------------------------------------------------------

    def _initialise(self) -> bool:
        """Open and restore everything; return whether a source has begun where no checkpoint says so."""
        faultpoint("P17")
        with self._incoming.interrupting(self._lifecycle.interrupt):
            self._lifecycle.open()
            self._tracker.change(JobStatus.INITIALIZING, "RESTORE")
            recovery = self._recovery()
            if recovery is not None:
                recovery.run()
            begun_unstored = self._starts.settle(self._wired.sources)
            self._begin_epochs()
        return begun_unstored

    def _recovery(self) -> Recovery | None:
        stored = self._stored
        if stored is None or stored.restored is None:
            return None
        return Recovery(stored.restored, stored.storage, self._wired, self._commits)

    def _begin_epochs(self) -> None:
        """Let each sink remove what earlier attempts left, except what the restored checkpoint needs."""
        manifest = None if self._stored is None else self._stored.restored
        given_up = None if self._stored is None else self._stored.given_up
        for sink in self._wired.sinks:
            if given_up is not None:
                sink.give_up([from_json(state) for state in given_up.sink_state.get(sink.uid, ())])
            sink.begin([] if manifest is None else handles_of(manifest, sink.uid, sink.subtask))

    # --- RUNNING ----------------------------------------------------------------------------------

    def _start(self) -> None:
        self._tracker.change(JobStatus.RUNNING)
        for subtask in reversed(self._wired.subtasks):
            subtask.start()

    def _supervise(self, *, begun_unstored: bool) -> CheckpointKind:
        """Handle events until a checkpoint ends the run."""
        can_store = self._stored is not None and self._resumable
        self._checkpoints.start(at_once=begun_unstored and can_store)
        while self._checkpoints.ended_by is None:
            event = self._incoming.next(self._checkpoints.next_deadline)
            if event is None:
                self._checkpoints.tick()
            else:
                self._handle(event)
        return self._checkpoints.ended_by

    def _handle(self, event: TaskEvent) -> None:
        match event:
            case Acknowledged():
                self._checkpoints.acknowledge(event)
            case Declined():
                self._checkpoints.decline(event)
            case SinkFull(uid):
                self._end_epoch(uid)
            case SubtaskFailed(_, error):
                raise error
            case SubtaskLeft(participant):
                self._heard.left.add(participant)
            case InputEnded(participant):
                self._heard.ended.add(participant)
                if len(self._heard.ended) == len(self._wired.sources):
                    self._checkpoints.request(CheckpointKind.FINAL)
            case RowsDue(participant, rows):
                self._heard.rows[participant] = rows
                self._checkpoints.rows_emitted(sum(self._heard.rows.values()))
            case StopRequested(at_once):
                self._stop(at_once=at_once)

    def _end_epoch(self, uid: str) -> None:
        if self._stored is None or not self._resumable:
            raise SinkError(
                f"the epoch of sink {uid} is full, and this job cannot checkpoint before its input ends",
                retryable=False,
                hint="read from a source that can resume, with checkpoints, or allow the sink longer epochs",
            )
        self._checkpoints.hasten()

    def _stop(self, *, at_once: bool) -> None:
        if at_once or not self._resumable:
            raise Aborted
        self._incoming.expect_stop()
        self._checkpoints.request(CheckpointKind.STOP)

    # --- the end ----------------------------------------------------------------------------------

    def _leave(self, kind: CheckpointKind) -> Mapping[str, Mapping[Any, Any]]:
        """Let the stream complete, or end it where it is, and keep the final state."""
        if kind is CheckpointKind.FINAL:
            for source in self._wired.sources:
                source.finish()
            deadline = self._now() + whole_ms(THREAD_GRACE)
            while len(self._heard.left) < len(self._wired.subtasks) and self._now() < deadline:
                event = self._incoming.next(deadline)
                if isinstance(event, SubtaskFailed):
                    raise event.error
                if isinstance(event, SubtaskLeft):
                    self._heard.left.add(event.participant)
        self._lifecycle.end_threads()
        return self._lifecycle.final_state()

    def _tear_down(self, cause: BaseException | None) -> None:
        self._lifecycle.end_threads()
        self._lifecycle.close(self._checkpoints.undecided_from, cause)

    def _now(self) -> int:
        return self._clock.monotonic_ms()


class _Heard:
    """What the subtasks have said of themselves.

    Attributes:
        rows: records that a source has emitted, as of its last word.
        ended: sources whose input has ended.
        left: subtasks whose thread is about to end.
    """

    def __init__(self) -> None:
        self.rows: dict[Participant, int] = {}
        self.ended: set[Participant] = set()
        self.left: set[Participant] = set()
