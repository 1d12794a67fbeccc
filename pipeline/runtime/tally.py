"""What a run has done so far, over all of its attempts."""

from __future__ import annotations

from datetime import timedelta

from pipeline.core.clock import Clock
from pipeline.core.counts import FAILED, LATE, PROCESSED, WRITTEN, Counts
from pipeline.core.records import FailedRecord, sampled
from pipeline.runtime.attempt import Attempt, Outcome
from pipeline.runtime.result import JobResult


class Tally:
    """Adds up the attempts of a run and makes its result.

    Args:
        clock: measures how long it takes.
        checkpoint_path: where its checkpoints are; None without.

    Attributes:
        restarts: how often it started again after a failure.
        restored_from: the checkpoint its first attempt began with.
        failed_samples: the first different records that failed.
    """

    def __init__(self, clock: Clock, checkpoint_path: str | None) -> None:
        self._clock = clock
        self._checkpoint_path = checkpoint_path
        self._started_ms = clock.monotonic_ms()
        self._checkpoints = 0
        self.restarts = 0
        self.restored_from: int | None = None
        self.failed_samples: tuple[FailedRecord, ...] = ()

    def add(self, attempt: Attempt) -> None:
        """Take an attempt that has ended into account."""
        self._checkpoints += attempt.completed_checkpoints
        self.failed_samples = sampled([*self.failed_samples, *attempt.view.failed_records])

    def result(self, outcome: Outcome, execution_id: str, attempt: Attempt | None) -> JobResult:
        """Return what became of the run.

        Args:
            attempt: the last one, which has counted on from those before it; None if there was none.
        """
        view = None if attempt is None else attempt.view
        counts = Counts() if view is None else view.counts
        written = counts.each(WRITTEN)
        reached = None if view is None else view.event_time
        return JobResult(
            status=outcome.status,
            processed_records=counts[PROCESSED],
            failed_records=counts[FAILED],
            dropped_records=0 if view is None else view.dropped,
            duration=timedelta(milliseconds=self._clock.monotonic_ms() - self._started_ms),
            state=outcome.state,
            execution_id=execution_id,
            checkpoints=self._checkpoints,
            restarts=self.restarts,
            restored_from=self.restored_from,
            checkpoint_path=self._checkpoint_path,
            late_records=counts[LATE],
            written_records=sum(written.values()),
            written_by_sink=written,
            failed_samples=self.failed_samples,
            event_time=None if reached is None else reached.timestamp,
            remarks=() if view is None else view.remarks,
        )
