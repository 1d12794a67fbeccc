"""A job that reads a query, stopped at any moment: soon gone, and no connection of it is left."""

from __future__ import annotations

import random
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from connectors import FileSink, SqlQuerySource
from pipeline import JobConfig, JobStatus, StreamJob
from pipeline.runtime.control import JobControl

if TYPE_CHECKING:
    from tests.conftest import Database

CANCELS = 40
UNFORCED_S = 25
"""After 30 s a stop is forced; the aim is 5, which a machine with other work may not reach."""
NAME = "cancelled query"
OF_THE_JOB = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"


def build(dsn: str, folder: Path) -> StreamJob:
    config = JobConfig(
        checkpoint_rows=500,
        checkpoint_min_pause=timedelta(milliseconds=5),
        checkpoint_dir=folder / "checkpoints",
    )
    query = "SELECT n AS id, repeat('x', 100) AS filler FROM generate_series(1, 20000000) AS n"
    return (
        StreamJob.builder()
        .name("cancelled-query")
        .source(SqlQuerySource(query, key="id", dsn=dsn))
        .sink(FileSink(folder / "rows.csv"))
        .config(config)
        .build()
    )


def connections(watcher: psycopg.Connection) -> int:
    """How many connections of the job the server knows; asked again until those that end have ended."""
    deadline = time.monotonic() + UNFORCED_S
    while True:
        row = watcher.execute(OF_THE_JOB, [NAME]).fetchone()
        assert row is not None
        if row[0] == 0 or time.monotonic() > deadline:
            return row[0]


@pytest.mark.usefixtures("nothing_left")
def test_a_query_cancelled_at_random_moments(database: Database, tmp_path: Path) -> None:
    """While it connects, is planned, sends rows or takes a checkpoint; half of the times gracefully."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    dsn = make_conninfo(database.dsn, application_name=NAME)
    for number in range(CANCELS):
        control = JobControl()
        wait = rng.uniform(0, 0.1)
        timer = threading.Timer(wait, control.stop if number % 2 else control.abort)
        timer.start()
        began = time.monotonic()
        try:
            result = build(dsn, tmp_path).execute(control=control)
        finally:
            timer.join()
        assert result.status is JobStatus.CANCELLED, f"seed {seed}"
        assert time.monotonic() - began < wait + UNFORCED_S, f"seed {seed}"
    with psycopg.connect(database.dsn, autocommit=True) as watcher:
        assert connections(watcher) == 0, f"seed {seed}"
