"""A job whose second record is held by a pipe, which the test opens to let it pass."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors import CollectSink, FileSource
from pipeline import JobConfig, StreamJob


def hold_the_second(row: dict[str, Any]) -> int:
    if row["n"] == "1":
        Path("entered").touch()
        Path("gate").read_bytes()
    return int(row["n"])


job = (
    StreamJob.builder()
    .name("held")
    .source(FileSource("in.csv"))
    .map(hold_the_second)
    .key_by(lambda n: n % 2)
    .reduce(max)
    .sink(CollectSink())
    .config(JobConfig(checkpoint_interval=timedelta(hours=1), source_batch_size=1))
    .build()
)
