"""Sums by key and half a second from a csv file to a csv file, with records out of order and late ones."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from gate import GatedFile

from connectors import FileSink
from pipeline import JobConfig, SideTag, StreamJob, TumblingTimeWindows, WatermarkStrategy

PACE = float(os.environ.get("PACE", "0"))
LATE = SideTag[dict[str, int]]("late")


def timestamp(row: dict[str, Any]) -> int:
    """Ten milliseconds apart, up to 90 out of order; one in 97 comes 400 late, one in 89 a second."""
    n = int(row["n"])
    return 10 * n - n * 7 % 10 * 10 - 400 * (n % 97 == 0) - 1000 * (n % 89 == 0)


def parse(row: dict[str, Any]) -> dict[str, int]:
    if PACE:
        time.sleep(PACE)
    return {"key": int(row["n"]) % 7, "sum": int(row["n"]), "count": 1}


def key(row: dict[str, int]) -> int:
    return row["key"]


def add(total: dict[str, int], row: dict[str, int]) -> dict[str, int]:
    return {"key": row["key"], "sum": total["sum"] + row["sum"], "count": total["count"] + row["count"]}


def result(key: int, window: Any, total: dict[str, int]) -> dict[str, int]:
    return {"start": window.start, **total}


job = StreamJob(
    "windows",
    JobConfig(checkpoint_rows=100, checkpoint_min_pause=timedelta(0), source_batch_size=50),
)
events = job.source(
    GatedFile("in.csv"),
    # by count, so that which records are late does not depend on how the file happens to be read
    watermarks=WatermarkStrategy.bounded_out_of_orderness(
        timedelta(milliseconds=100), timestamp=timestamp
    ).emit_every(20),
)
windows = events.map(parse).key_by(key).window(TumblingTimeWindows.of(timedelta(milliseconds=500)))
sums = (
    windows.allowed_lateness(timedelta(milliseconds=300))
    .side_output_late_data(LATE)
    .reduce(add, window_function=result)
)
sums.sink(FileSink("out/windows.csv"))
sums.side_output(LATE).sink(FileSink("out/late.jsonl"), uid="late")
