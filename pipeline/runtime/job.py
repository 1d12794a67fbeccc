"""Run a job in this process: settle what to continue from, try, restart, give the result."""

from __future__ import annotations

import contextlib
import queue
import secrets
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Manifest
from checkpoint.storage.base import StorageAttempt
from checkpoint.storage.local import LocalCheckpointStorage
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.config import JobConfig, ResolvedConfig
from pipeline.core.errors import CheckpointError, ConfigError, PipelineError
from pipeline.core.job import JobStatus
from pipeline.core.records import FailedRecord, sampled
from pipeline.core.restart import RestartDecider, RestartStrategy
from pipeline.graph.plan import JobPlan, physical
from pipeline.runtime.attempt import Aborted, Attempt, Outcome
from pipeline.runtime.contexts import Identity
from pipeline.runtime.control import JobControl, Mailbox
from pipeline.runtime.counts import Counts
from pipeline.runtime.events import JobEvent, JobStarted, Restarting, StopRequested
from pipeline.runtime.manifests import Execution, ManifestWriter
from pipeline.runtime.matching import check_matches
from pipeline.runtime.result import JobResult, Progress
from pipeline.runtime.status import StatusTracker
from pipeline.runtime.wiring import Wiring
from pipeline.spi.sink import RecoveryChoices
from state.memory import MemoryStateBackendFactory

if TYPE_CHECKING:
    from pipeline.api.job import StreamJob


@dataclass(frozen=True, slots=True)
class Start:
    """How a run begins.

    Args:
        fresh: start over whatever was stored.
        take_over: run although another run holds the job.
        restore_from: a checkpoint other than the newest.
        accept_duplicates: go back behind output that is committed.
        allow_unmatched: drop state whose operator is gone.
        assume_committed: whether the last epoch counts as committed where nothing can tell; None refuses.
    """

    fresh: bool = False
    take_over: bool = False
    restore_from: int | None = None
    accept_duplicates: bool = False
    allow_unmatched: bool = False
    assume_committed: bool | None = None


def run_job(
    job: StreamJob,
    *,
    fresh: bool = False,
    take_over: bool = False,
    restore_from: int | None = None,
    accept_duplicates: bool = False,
    allow_unmatched: bool = False,
    assume_committed: bool | None = None,
    command_line: Mapping[str, str] | None = None,
    listener: Callable[[JobEvent], None] | None = None,
    control: JobControl | None = None,
    clock: Clock | None = None,
) -> JobResult:
    """Run a job until its input ends, it is stopped, or it fails for good.

    Args:
        job: what `StreamJob.builder()…build()` gave.
        fresh: start over instead of continuing from the last checkpoint.
        take_over: run although another run holds the job; that one is fenced.
        restore_from: id of the checkpoint to start from instead of the newest.
        accept_duplicates: allow `restore_from` to go back behind committed output.
        allow_unmatched: drop checkpointed state whose operator the job no longer has.
        assume_committed: whether the last epoch counts as committed where neither note nor mark can tell.
        command_line: settings that outrank all others, by field name, as text.
        listener: called on the calling thread with each event.
        control: stops and watches the run.

    Raises:
        ConfigError: something is wrong with the job or its settings; nothing was started.
        JobAlreadyRunning: another run of this job lives.
        PipelineError: the job failed and no restart was left; `error.result` is the `JobResult`.
    """
    resolved = job.resolve(command_line)
    plan = physical(job.job_graph(command_line))
    start = Start(fresh, take_over, restore_from, accept_duplicates, allow_unmatched, assume_committed)
    run = _Run(plan, resolved, start, listener or _ignore, control or JobControl(), clock or SystemClock())
    return run.run()


def _ignore(event: JobEvent) -> None:
    """The listener of those who do not listen."""


class _Run:
    """The attempts of one call of `run_job`."""

    def __init__(
        self,
        plan: JobPlan,
        resolved: ResolvedConfig,
        start: Start,
        listener: Callable[[JobEvent], None],
        control: JobControl,
        clock: Clock,
    ) -> None:
        self._plan = plan
        self._config: JobConfig = resolved.values
        self._start = start
        self._listener = listener
        self._control = control
        self._clock = clock
        self._storage = self._open_storage(resolved)
        self._tracker = StatusTracker(listener)
        self._attempt: Attempt | None = None
        self._restarts = 0
        self._checkpoints = 0
        self._failed_samples: tuple[FailedRecord, ...] = ()
        self._first_restored: int | None = None
        self._execution_id = self._lineage = ""
        self._went_back = False
        self._begun = False
        self._started = time.monotonic()
        control.watch(self._progress)

    def _open_storage(self, resolved: ResolvedConfig) -> LocalCheckpointStorage | None:
        if resolved.checkpoints:
            assert self._config.checkpoint_dir is not None
            return LocalCheckpointStorage(
                Path(self._config.checkpoint_dir), self._plan.stream.job, self._clock
            )
        if self._start.restore_from is not None:
            raise ConfigError("this job takes no checkpoints, so there is none to restore")
        return None

    # --- attempts ----------------------------------------------------------------------------------

    def run(self) -> JobResult:
        decider = self._decider()
        with self._locked():
            while True:
                began = self._clock.monotonic_ms()
                try:
                    return self._result(self._try())
                except Aborted:
                    self._tracker.cancel()
                    return self._result(Outcome(JobStatus.CANCELLED, {}))
                except KeyboardInterrupt:
                    self._tracker.cancel()
                    raise
                except PipelineError as error:
                    if not self._restart(error, decider, began):
                        return self._result(Outcome(JobStatus.CANCELLED, {}))

    def _decider(self) -> RestartDecider:
        strategy = self._config.restart
        return (strategy if isinstance(strategy, RestartStrategy) else RestartStrategy.none()).decider()

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        if self._storage is None:
            yield
            return
        self._storage.lock(take_over=self._start.take_over)
        try:
            yield
        finally:
            self._storage.close()

    def _try(self) -> Outcome:
        """Run one attempt, from its claim to its end."""
        self._tracker.change(JobStatus.SCHEDULED)
        storage = None if self._storage is None else self._storage.claim()
        manifest = None if storage is None else self._choose(storage)
        if storage is not None and manifest is not None and not self._continues(manifest):
            storage, manifest = self._settle(storage, manifest), None
        execution = self._execution(storage, manifest)
        if storage is not None:
            self._begin(storage, execution, manifest)
            self._begun = True
        attempt = self._attempt = self._build(execution, storage, manifest)
        self._announce(execution, storage, manifest)
        outcome = self._carry_out(attempt, storage, manifest)
        if outcome.status is JobStatus.CANCELLED:
            self._tracker.cancel()
        else:
            self._tracker.change(outcome.status)
        return outcome

    def _begin(self, storage: StorageAttempt, execution: Execution, manifest: Manifest | None) -> None:
        """Make sure that the job can go on from the manifest, and note what this attempt works on."""
        if manifest is not None:
            check_matches(
                manifest,
                execution,
                noted=storage.history.is_noted(manifest.checkpoint_id),
                allow_unmatched=self._start.allow_unmatched,
            )
        storage.begin(
            execution_id=execution.execution_id,
            lineage=execution.lineage,
            restored=None if manifest is None else manifest.checkpoint_id,
        )

    def _settle(self, storage: StorageAttempt, manifest: Manifest) -> StorageAttempt:
        """Commit what a run has decided from which this one does not go on; claim another attempt."""
        if storage.history.is_noted(manifest.checkpoint_id):
            return storage
        execution = self._execution(storage, manifest)
        self._begin(storage, execution, manifest)
        self._build(execution, storage, manifest).settle()
        storage.finish(JobStatus.COMPLETED.value)
        assert self._storage is not None
        return self._storage.claim()

    def _announce(
        self, execution: Execution, storage: StorageAttempt | None, manifest: Manifest | None
    ) -> None:
        restored = None if manifest is None else manifest.checkpoint_id
        if self._restarts == 0:
            self._first_restored = restored
        self._listener(
            JobStarted(
                self._plan.stream.job,
                execution.execution_id,
                1 if storage is None else storage.number,
                restored,
                0 if manifest is None else manifest.processed,
                self._restarts,
                self._plan.stream.resumable,
                self._plan.stream.durable,
            )
        )

    def _carry_out(
        self, attempt: Attempt, storage: StorageAttempt | None, manifest: Manifest | None
    ) -> Outcome:
        """Run what has been built, and note how it ended."""
        status, error = JobStatus.FAILED, None
        try:
            if manifest is not None and manifest.kind is CheckpointKind.FINAL:
                attempt.settle()
                self._tracker.change(JobStatus.RUNNING)
                outcome = Outcome(JobStatus.COMPLETED, {})
            else:
                outcome = attempt.run()
            status = outcome.status
        except (Aborted, KeyboardInterrupt):
            status = JobStatus.CANCELLED
            raise
        except PipelineError as failure:
            error = failure.located(job=self._plan.stream.job)
            raise
        finally:
            self._checkpoints += attempt.checkpoints
            self._failed_samples = sampled([*self._failed_samples, *attempt.failed_records])
            if storage is not None:
                self._record(storage, status, error)
        return outcome

    def _record(self, storage: StorageAttempt, status: JobStatus, error: PipelineError | None) -> None:
        """Record how an attempt ended, for the next start and for people."""
        discard = status is JobStatus.CANCELLED and not self._config.retain_on_cancel
        details: dict[str, Any] = {} if error is None else error.as_json()
        if self._failed_samples:
            details["failed_samples"] = [asdict(record) for record in self._failed_samples]
        with contextlib.suppress(PipelineError):  # only the next start's choice of a name depends on it
            storage.discard() if discard else storage.finish(status.value, details)

    def _build(
        self, execution: Execution, storage: StorageAttempt | None, manifest: Manifest | None
    ) -> Attempt:
        identity = Identity(
            self._plan.stream.job, execution.lineage, 1 if storage is None else storage.number
        )
        mailbox = Mailbox(self._control.queue)
        wired = Wiring(
            self._plan,
            self._config,
            identity,
            MemoryStateBackendFactory(self._clock),
            mailbox.post,
            self._clock,
            storage,
            RecoveryChoices(
                self._start.accept_duplicates, self._start.assume_committed, self._start.take_over
            ),
        ).build()
        writer = None
        if storage is not None:
            writer = ManifestWriter(storage, execution, manifest, self._clock)
        return Attempt(
            wired,
            self._config,
            storage,
            writer,
            manifest,
            resumable=self._plan.stream.resumable,
            mailbox=mailbox,
            tracker=self._tracker,
            listener=self._listener,
            clock=self._clock,
        )

    # --- what to continue from ------------------------------------------------------------------------

    def _choose(self, storage: StorageAttempt) -> Manifest | None:
        """Decide which checkpoint this attempt begins with."""
        if self._begun:
            return storage.latest()  # of this very run
        if self._start.fresh:
            return None
        if self._start.restore_from is not None:
            return self._go_back(storage, self._start.restore_from)
        manifest, last = storage.latest(), storage.history.last
        # Only the run's own word makes it complete: one killed between its last note and that word is not.
        said_so = last is not None and last.status == JobStatus.COMPLETED
        return None if said_so else manifest

    def _continues(self, manifest: Manifest) -> bool:
        """Whether to go on from a checkpoint: not behind what was read in another run and is gone with it."""
        if self._begun or self._start.restore_from is not None or manifest.kind is CheckpointKind.FINAL:
            return True
        return self._plan.stream.durable

    def _go_back(self, storage: StorageAttempt, checkpoint_id: int) -> Manifest:
        there = storage.history.checkpoints
        if checkpoint_id not in there:
            raise ConfigError(
                f"there is no checkpoint {checkpoint_id} to restore",
                hint=f"those there are: {', '.join(map(str, there)) or 'none'}",
            )
        newest = there[-1]
        manifest = storage.load(checkpoint_id)
        self._went_back = checkpoint_id != newest
        if self._went_back and not self._start.accept_duplicates:
            raise CheckpointError(
                f"checkpoint {checkpoint_id} is older than {newest}: what was committed since then "
                "would be written again",
                retryable=False,
                hint="add --accept-duplicates if that is wanted",
            )
        return manifest

    def _execution(self, storage: StorageAttempt | None, manifest: Manifest | None) -> Execution:
        """Keep the names of an execution that goes on, make new ones for one that begins."""
        last = None if storage is None else storage.history.last
        execution_id, lineage = _new_execution_id(), secrets.token_hex(8)
        if manifest is not None and last is not None and not self._went_back:
            lineage = last.lineage
            if last.status is None:  # it was killed
                execution_id = last.execution_id
        if self._begun:
            execution_id, lineage = self._execution_id, self._lineage
        self._execution_id, self._lineage = execution_id, lineage
        return Execution(
            self._plan.stream,
            execution_id,
            lineage,
            self._config.max_parallelism,
            {node.uid: vertex.parallelism for vertex in self._plan.vertices for node in vertex.nodes},
            self._plan.lanes(),
        )

    # --- failures -------------------------------------------------------------------------------------

    def _restart(self, error: PipelineError, decider: RestartDecider, began: int) -> bool:
        """Wait for the next start; False if the job was stopped meanwhile; raise if there is none."""
        error.located(job=self._plan.stream.job)
        self._tracker.fail()
        now = self._clock.monotonic_ms()
        delay = decider.next_delay_ms(now, now - began) if error.retryable else None
        if delay is None:
            self._tracker.change(JobStatus.DEAD)
            error.result = self._result(Outcome(JobStatus.FAILED, {}))
            raise error
        self._listener(Restarting(error, delay))
        self._restarts += 1
        if self._wait(delay):
            return True
        self._tracker.change(JobStatus.SCHEDULED)
        self._tracker.cancel()
        return False

    def _wait(self, delay_ms: int) -> bool:
        """Wait for a restart, deaf to what the failed attempt still says; False if asked to stop."""
        until = self._clock.monotonic_ms() + delay_ms
        while True:
            left = until - self._clock.monotonic_ms()
            try:
                event = self._control.queue.get(timeout=max(0, left) / 1000).event
            except queue.Empty:
                return True
            if isinstance(event, StopRequested):
                return False

    # --- what others see ---------------------------------------------------------------------------------

    def _progress(self) -> Progress:
        return Progress(self._tracker.status) if self._attempt is None else self._attempt.progress()

    def _result(self, outcome: Outcome) -> JobResult:
        attempt = self._attempt
        counts = Counts() if attempt is None else attempt.counts
        reached = None if attempt is None else attempt.event_time
        return JobResult(
            status=outcome.status,
            processed_records=counts.processed,
            failed_records=counts.failed,
            dropped_records=0 if attempt is None else attempt.dropped,
            duration=timedelta(seconds=time.monotonic() - self._started),
            state=outcome.state,
            execution_id=self._execution_id,
            checkpoints=self._checkpoints,
            restarts=self._restarts,
            restored_from=self._first_restored,
            checkpoint_path=None if self._storage is None else str(self._storage.path),
            late_records=counts.late,
            written_records=sum(counts.written.values()),
            written_by_sink=counts.written,
            failed_samples=self._failed_samples,
            event_time=None if reached is None else reached.timestamp,
        )


def _new_execution_id() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
