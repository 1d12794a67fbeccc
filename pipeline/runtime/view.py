"""What can be seen of an attempt from outside, at any time and from any thread."""

from __future__ import annotations

from checkpoint.manifest import Manifest
from pipeline.core.counts import FAILED, LATE, PROCESSED, WRITTEN, Counts
from pipeline.core.elements import BEGINNING
from pipeline.core.job import JobStatus
from pipeline.core.records import FailedRecord
from pipeline.runtime.edges import edges_into
from pipeline.runtime.result import EventTimeProgress, Progress
from pipeline.runtime.wiring import Wired


class AttemptView:
    """Sums up what the subtasks count.

    Args:
        wired: the subtasks.
        restored: the checkpoint whose counts they continue.
    """

    def __init__(self, wired: Wired, restored: Manifest | None) -> None:
        self._wired = wired
        self._restored = restored

    def progress(self, status: JobStatus, checkpoints: int, newest: Manifest | None) -> Progress:
        """Look at the attempt.

        Args:
            status: the job's.
            checkpoints: how many it has completed.
            newest: the last complete one.
        """
        edges = [edge for inner in self._wired.inners for edge in edges_into(inner)]
        counts = self.counts
        written = counts.each(WRITTEN)
        return Progress(
            status,
            processed=counts[PROCESSED],
            written=sum(written.values()),
            written_by_sink=written,
            failed=counts[FAILED],
            dropped=self.dropped,
            late=counts[LATE],
            estimated=self._estimated(),
            checkpoints=checkpoints,
            last_checkpoint=None if newest is None else newest.checkpoint_id,
            edges=tuple(edges),
            event_time=self.event_time,
            open_windows=sum(hosted.operator.open_windows for hosted in self._wired.operators),
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """Notes on sources and targets, each line once."""
        parts = (*(source.opened.source for source in self._wired.sources), *self._wired.sinks)
        return tuple(dict.fromkeys(remark for part in parts for remark in part.remarks))

    @property
    def counts(self) -> Counts:
        """What became of records, over all attempts of the execution."""
        before = Counts() if self._restored is None else Counts(self._restored.counters)
        return sum((subtask.counts for subtask in self._wired.subtasks), before)

    @property
    def dropped(self) -> int:
        """Records that buffers have dropped, over all attempts of the execution."""
        return sum(buffer.dropped for buffer in self._wired.buffers)

    @property
    def failed_records(self) -> list[FailedRecord]:
        """Samples of the records that failed in this attempt."""
        return [record for subtask in self._wired.subtasks for record in subtask.ctx.failed_records]

    @property
    def event_time(self) -> EventTimeProgress | None:
        """The event time of the source that is furthest back."""
        times = [(source, time) for source in self._wired.sources if (time := source.event_time) is not None]
        waited_for = [time for source, time in times if not (time.idle or source.input_ended)]
        if waited_for:
            return min(waited_for, key=_reached)
        return max((time for _, time in times), key=_reached, default=None)

    def _estimated(self) -> int | None:
        estimates = [source.opened.estimate for source in self._wired.sources]
        known = [estimate for estimate in estimates if estimate is not None]
        return sum(known) if known and len(known) == len(estimates) else None


def _reached(time: EventTimeProgress) -> int:
    return BEGINNING if time.timestamp is None else time.timestamp
