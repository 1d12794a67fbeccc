"""Numbers from a csv file through a buffer with a strategy to one csv file, slower than they are read."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from gate import GatedFile

from connectors import FileSink
from pipeline import BackpressureStrategy, JobConfig, StreamJob

STRATEGY = BackpressureStrategy(os.environ["STRATEGY"])


class Numbers(GatedFile):
    """More than the buffer holds."""

    ROOM = 400


def double(row: dict[str, Any]) -> dict[str, int]:
    time.sleep(0.0004)
    return {"n": int(row["n"]), "doubled": 2 * int(row["n"])}


job = (
    StreamJob.builder()
    .name("buffered")
    .source(Numbers("in.csv"))
    .backpressure(STRATEGY, buffer_size=200, accept_loss=True, uid="buffer")
    .map(double)
    .sink(FileSink("out/numbers.csv"))
    .config(
        JobConfig(
            checkpoint_rows=100,
            checkpoint_min_pause=timedelta(0),
            source_batch_size=50,
            sink_batch_size=20,
        )
    )
    .build()
)
