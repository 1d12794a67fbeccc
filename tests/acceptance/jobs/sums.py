"""Running sums by key from a csv file to a csv file: a job with keyed state."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from gate import GatedFile

from connectors import FileSink
from pipeline import JobConfig, StreamJob

PACE = float(os.environ.get("PACE", "0"))


def parse(row: dict[str, Any]) -> dict[str, int]:
    if PACE:
        time.sleep(PACE)
    return {"key": int(row["n"]) % 10, "sum": int(row["n"])}


def key(row: dict[str, int]) -> int:
    return row["key"]


def add(total: dict[str, int], row: dict[str, int]) -> dict[str, int]:
    return {"key": row["key"], "sum": total["sum"] + row["sum"]}


job = (
    StreamJob.builder()
    .name("sums")
    .source(GatedFile("in.csv"))
    .map(parse)
    .key_by(key)
    .reduce(add)
    .sink(FileSink("out/sums.csv"))
    .config(JobConfig(checkpoint_rows=100, checkpoint_min_pause=timedelta(0), source_batch_size=50))
    .build()
)
