"""A query to a csv file, as the environment says."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from gate import GatedQuery

from connectors import FileSink
from pipeline import JobConfig, RestartStrategy, StreamJob


class Rows(GatedQuery):
    """By default a checkpoint is due after every 500."""

    ROOM = 700


def pick(row: dict[str, Any]) -> dict[str, Any]:
    if row["id"] == int(os.environ.get("POISON", "-1")):
        raise ValueError(f"row {row['id']} is poisoned")
    return {name: value for name, value in row.items() if name != "padding"}


job = (
    StreamJob.builder()
    .name("query")
    .source(Rows(os.environ["QUERY"], key=os.environ.get("KEY") or None))
    .map(pick)
    .sink(FileSink(os.environ.get("OUT", "out/rows.csv")))
    .config(
        JobConfig(
            checkpoint_rows=500,
            checkpoint_min_pause=timedelta(0),
            source_batch_size=100,
            restart=RestartStrategy.fixed_delay(attempts=5, delay=timedelta(milliseconds=300)),
        )
    )
    .build()
)
