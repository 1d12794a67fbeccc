"""Run a job in this process: settle what to continue from, try, restart, return the result."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Generator, Iterator
from dataclasses import asdict
from typing import Any

from pipeline.core.config import ResolvedConfig
from pipeline.core.counts import PROCESSED
from pipeline.core.errors import ConfigError, PipelineError
from pipeline.core.job import JobStatus
from pipeline.core.restart import RestartDecider
from pipeline.core.run_options import RunOptions
from pipeline.graph.plan import JobPlan
from pipeline.graph.stream_graph import StreamGraph
from pipeline.runtime.assembly import Ports
from pipeline.runtime.attempt import Attempt, Outcome
from pipeline.runtime.checkpoints import Stored
from pipeline.runtime.contexts import Identity
from pipeline.runtime.continuation import Claimed, Continuation
from pipeline.runtime.control import JobControl, Mailbox
from pipeline.runtime.events import JobStarted, Restarting, StopFailed, StopRequested
from pipeline.runtime.incoming import Aborted
from pipeline.runtime.manifests import Execution, ManifestWriter
from pipeline.runtime.result import JobResult, Progress
from pipeline.runtime.starts import Starts
from pipeline.runtime.statistics import AttemptStatistics
from pipeline.runtime.status import StatusTracker
from pipeline.runtime.tally import Tally
from pipeline.runtime.wiring import Wiring
from pipeline.spi.sink import RecoveryChoices


def run_job(
    plan: JobPlan,
    config: ResolvedConfig,
    options: RunOptions,
    ports: Ports,
    control: JobControl | None = None,
) -> JobResult:
    """Run a job until its input ends, it is stopped, or it fails permanently.

    Args:
        plan: what runs.
        config: its settings.
        options: what this run does about earlier ones.
        ports: what it works with; see `assemble`.
        control: stops and watches the run.

    Raises:
        ConfigError: something is wrong with the job or its settings; nothing was started.
        JobAlreadyRunning: another run of this job lives.
        PipelineError: the job failed and no restart was left; `error.result` is the `JobResult`.
    """
    if ports.storage is None and options.restore_from is not None:
        raise ConfigError("this job takes no checkpoints, so there is none to restore")
    return _Run(plan, config, options, ports, control or JobControl()).run()


class _Run:
    """The attempts of one call of `run_job`."""

    def __init__(
        self, plan: JobPlan, config: ResolvedConfig, options: RunOptions, ports: Ports, control: JobControl
    ) -> None:
        self._plan = plan
        self._config = config.values
        self._options = options
        self._ports = ports
        self._control = control
        self._tracker = StatusTracker(ports.listeners)
        self._continuation = Continuation(plan, options, self._config.max_parallelism)
        self._tally = Tally(ports.clock, None if ports.storage is None else ports.storage.location)
        self._starts = Starts()
        self._attempt: Attempt | None = None
        control.watch(self._progress, self._statistics)

    # --- attempts ----------------------------------------------------------------------------------

    def run(self) -> JobResult:
        decider = self._config.restart.decider()
        with self._locked():
            while True:
                began, before = self._now(), self._attempt
                try:
                    return self._result(self._try())
                except Aborted:
                    self._tracker.cancel()
                    return self._result(Outcome(JobStatus.CANCELLED, {}))
                except KeyboardInterrupt:
                    self._tracker.cancel()
                    raise
                except PipelineError as error:
                    error.retryable = self._config.restart.helps(error)  # so that what it says holds
                    attempt = None if self._attempt is before else self._attempt
                    if not self._restart(error, decider, began, attempt):
                        return self._result(Outcome(JobStatus.CANCELLED, {}))

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        storage = self._ports.storage
        if storage is None:
            yield
            return
        storage.lock(take_over=self._options.take_over)
        try:
            yield
        finally:
            storage.close()

    def _try(self) -> Outcome:
        """Run one attempt, from its claim to its end."""
        self._tracker.change(JobStatus.SCHEDULED)
        claimed = self._claim()
        execution = self._continuation.execution(claimed)
        if claimed is not None:
            self._continuation.record(claimed, execution)
            self._continuation.begin()
        attempt = self._attempt = self._build(execution, claimed)
        self._announce(execution, claimed)
        outcome = self._carry_out(attempt, claimed)
        if outcome.status is JobStatus.CANCELLED:
            self._tracker.cancel()
        else:
            self._tracker.change(outcome.status)
        return outcome

    def _claim(self) -> Claimed | None:
        """Claim an attempt; one that cannot continue commits what was decided, and another is claimed."""
        storage = self._ports.storage
        if storage is None:
            return None
        claimed = self._continuation.choose(storage.claim())
        manifest = claimed.manifest
        if manifest is None or not self._continuation.is_over(manifest):
            return claimed
        if claimed.storage.history.is_noted(manifest.checkpoint_id):
            return Claimed(claimed.storage, None)
        execution = self._continuation.execution(claimed)
        self._continuation.record(claimed, execution)
        self._build(execution, claimed).settle()
        claimed.storage.finish(JobStatus.COMPLETED.value)
        return Claimed(storage.claim(), None)

    def _build(self, execution: Execution, claimed: Claimed | None) -> Attempt:
        clock, job = self._ports.clock, self._plan.stream.job
        stored = None
        if claimed is not None:
            writer = ManifestWriter(claimed.storage, execution, claimed.manifest, clock)
            stored = Stored(
                claimed.storage,
                writer,
                claimed.manifest,
                retention=self._config.checkpoint_retention,
                given_up=claimed.given_up,
            )
        mailbox = Mailbox(self._control.queue)
        options = self._options
        manifest = None if claimed is None else claimed.manifest
        wired = Wiring(
            self._plan if manifest is None else self._plan.after(manifest.ended),
            self._config,
            Identity(job, execution.lineage, 1 if claimed is None else claimed.storage.number),
            self._ports.state,
            mailbox.post,
            clock,
            None if claimed is None else claimed.storage,
            RecoveryChoices(options.accept_duplicates, options.assume_committed, options.take_over),
        ).build()
        return Attempt(
            wired,
            self._config,
            stored,
            resumable=self._plan.stream.resumable,
            starts=self._starts,
            mailbox=mailbox,
            tracker=self._tracker,
            clock=clock,
        )

    def _announce(self, execution: Execution, claimed: Claimed | None) -> None:
        remarks = tuple(_remarks(self._plan.stream))
        restored = None if claimed is None else claimed.restored
        if self._tally.restarts == 0:
            self._tally.restored_from = restored
        manifest = None if claimed is None else claimed.manifest
        self._ports.listeners(
            JobStarted(
                self._plan.stream.job,
                execution.execution_id,
                1 if claimed is None else claimed.storage.number,
                restored,
                0 if manifest is None else manifest.counters.get(PROCESSED, 0),
                self._tally.restarts,
                self._plan.stream.resumable,
                self._plan.stream.durable,
                remarks,
            )
        )

    def _carry_out(self, attempt: Attempt, claimed: Claimed | None) -> Outcome:
        """Run what has been built, and record how it ended."""
        status, error = JobStatus.FAILED, None
        manifest = None if claimed is None else claimed.manifest
        try:
            if manifest is not None and self._continuation.is_complete(manifest):
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
            self._tally.add(attempt)
            if claimed is not None:
                self._record(claimed, status, error)
        return outcome

    def _record(self, claimed: Claimed, status: JobStatus, error: PipelineError | None) -> None:
        """Record how an attempt ended, for the next start and for people."""
        discard = status is JobStatus.CANCELLED and not self._config.retain_on_cancel
        details: dict[str, Any] = {} if error is None else error.as_json()
        if self._tally.failed_samples:
            details["failed_samples"] = [asdict(record) for record in self._tally.failed_samples]
        with contextlib.suppress(PipelineError):  # only the next start's choice of a name depends on it
            claimed.storage.discard() if discard else claimed.storage.finish(status.value, details)

    # --- failures -------------------------------------------------------------------------------------

    def _restart(
        self, error: PipelineError, decider: RestartDecider, began: int, failed: Attempt | None
    ) -> bool:
        """Wait for the next start; False if the job was asked to stop; raise if there is none.

        Args:
            began: when the attempt began, monotonic ms.
            failed: the attempt; None if it had not been built.
        """
        error.located(job=self._plan.stream.job)
        self._tracker.fail()
        now = self._now()
        delay = None
        if error.retryable:
            progressed = failed is not None and failed.progressed
            delay = decider.next_delay_ms(now, now - began, progressed=progressed)
        if delay is None:
            self._tracker.change(JobStatus.DEAD)
            error.result = self._result(Outcome(JobStatus.FAILED, {}))
            raise error
        if failed is not None and failed.stop_requested:
            self._ports.listeners(StopFailed(error))
        else:
            self._ports.listeners(Restarting(error, delay))
            self._tally.restarts += 1
            if self._wait(delay):
                return True
        self._tracker.change(JobStatus.SCHEDULED)
        self._tracker.cancel()
        return False

    def _wait(self, delay_ms: int) -> bool:
        """Wait for a restart, deaf to what the failed attempt still says; False if asked to stop."""
        until = self._now() + delay_ms
        while True:
            left = until - self._now()
            try:
                event = self._control.queue.get(timeout=max(0, left) / 1000).event
            except queue.Empty:
                return True
            if isinstance(event, StopRequested):
                return False

    # --- what others see ---------------------------------------------------------------------------------

    def _progress(self) -> Progress:
        return Progress(self._tracker.status) if self._attempt is None else self._attempt.progress()

    def _statistics(self) -> AttemptStatistics | None:
        return None if self._attempt is None else self._attempt.statistics()

    def _result(self, outcome: Outcome) -> JobResult:
        return self._tally.result(outcome, self._continuation.execution_id, self._attempt)

    def _now(self) -> int:
        return self._ports.clock.monotonic_ms()


def _remarks(stream: StreamGraph) -> Iterator[str]:
    for node in stream.windows_by_the_clock:
        sources = ", ".join(source.uid for source in stream.upstream_sources(node.id))
        yield (
            f"the windows of {node.uid} go by the clock, not by the time of the records: "
            f"no watermarks= for {sources}"
        )
