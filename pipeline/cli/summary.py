"""The lines with which a run ends, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pipeline.cli.event_time import instant
from pipeline.core.records import FailedRecord
from pipeline.runtime.result import JobResult

SAMPLES_SHOWN: Final = 3
"""Failed records that are shown; `--json` and the result have more."""


def summary_lines(job: str, result: JobResult, read_before: int) -> Iterator[str]:
    """Yield how the run ended and what became of its records.

    Args:
        job: name of the job.
        result: of the run.
        read_before: records that earlier runs of the execution had read.
    """
    seconds = result.duration.total_seconds()
    here = result.processed_records - read_before
    rate = here / seconds if seconds > 0 else 0.0
    own = f" ({here:,} in this run)" if read_before else ""
    yield f"{job}: {result.status.value} in {seconds:.1f} s"
    yield f"  records in   {result.processed_records:,}{own}, {rate:,.0f}/s"
    yield f"  records out  {written(result.written_records, result.written_by_sink)}"
    yield f"  failed       {result.failed_records:,}"
    yield from map(_described, result.failed_samples[:SAMPLES_SHOWN])
    if result.dropped_records:
        yield f"  dropped      {result.dropped_records:,}"
    if result.late_records:
        yield f"  late         {result.late_records:,}"
    if result.event_time is not None:
        yield f"  event time   {instant(result.event_time)}"
    where = f" in {result.checkpoint_path}" if result.checkpoint_path else ""
    yield f"  checkpoints  {result.checkpoints}{where}"
    if result.restarts:
        yield f"  restarts     {result.restarts}"
    for remark in result.remarks:
        yield f"  note         {remark}"


def written(records: int, by_sink: Mapping[str, int]) -> str:
    """Say how many records went out, and to which sink if there are several."""
    if len(by_sink) < 2:
        return f"{records:,}"
    each = ", ".join(f"{uid} {count:,}" for uid, count in by_sink.items())
    return f"{records:,} ({each})"


def _described(record: FailedRecord) -> str:
    position = f" at {record.position}" if record.position else ""
    return f"    {record.operator}{position}: {record.error}; the record: {record.value}"
