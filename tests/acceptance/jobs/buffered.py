"""Numbers from a csv file through a buffer with a strategy to one csv file, slower than they are read."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from connectors import FileSink, FileSource
from pipeline import BackpressureStrategy, JobConfig, StreamJob

STRATEGY = BackpressureStrategy(os.environ["STRATEGY"])


def read(row: dict[str, Any]) -> dict[str, Any]:
    if STRATEGY is not BackpressureStrategy.BUFFER:  # what asks without limit would be over at once
        time.sleep(0.0001)
    return row


def double(row: dict[str, Any]) -> dict[str, int]:
    time.sleep(0.0004)
    return {"n": int(row["n"]), "doubled": 2 * int(row["n"])}


job = (
    StreamJob.builder()
    .name("buffered")
    .source(FileSource("in.csv"))
    .map(read)
    .backpressure(STRATEGY, buffer_size=200, accept_loss=True, uid="buffer")
    .map(double)
    .sink(FileSink("out/numbers.csv"))
    .config(
        JobConfig(
            checkpoint_interval=timedelta(milliseconds=20),
            checkpoint_min_pause=timedelta(milliseconds=5),
            source_batch_size=50,
            sink_batch_size=20,
        )
    )
    .build()
)
