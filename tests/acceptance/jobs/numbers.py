"""Numbers from a csv file to one csv file, as slow as the environment says."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from gate import GatedFile

from connectors import FileSink, RollingPolicy
from pipeline import JobConfig, StreamJob

PACE = float(os.environ.get("PACE", "0"))


def double(row: dict[str, Any]) -> dict[str, int]:
    if row["n"] == "0":
        Path("entered").touch()
    if PACE:
        time.sleep(PACE)
    return {"n": int(row["n"]), "doubled": 2 * int(row["n"])}


job = (
    StreamJob.builder()
    .name("numbers")
    .source(GatedFile("in.csv"))
    .map(double)
    .sink(FileSink("out/numbers.csv", rolling=RollingPolicy() if "ROLLING" in os.environ else None))
    .config(JobConfig(checkpoint_rows=100, checkpoint_min_pause=timedelta(0), source_batch_size=50))
    .build()
)
