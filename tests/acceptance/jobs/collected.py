"""A collection that each run creates again, to a csv file or to part files, at a set pace."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from gate import GatedCollection

from connectors import FileSink, RollingPolicy
from pipeline import JobConfig, StreamJob

PACE = float(os.environ.get("PACE", "0"))


def slowly(row: dict[str, Any]) -> dict[str, Any]:
    if PACE:
        time.sleep(PACE)
    return row


job = (
    StreamJob.builder()
    .name("collected")
    .source(GatedCollection([{"n": n, "made_by": os.environ["MADE_BY"]} for n in range(600)]))
    .map(slowly)
    .sink(FileSink("out/collected.csv", rolling=RollingPolicy() if "ROLLING" in os.environ else None))
    .config(JobConfig(checkpoint_rows=100, checkpoint_min_pause=timedelta(0), source_batch_size=50))
    .build()
)
