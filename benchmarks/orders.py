"""A table of orders, and two ways from it to a csv file: a job, and the loop one would write by hand."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row, tuple_row

from benchmarks.jobs import run
from connectors.files.sink import FileSink
from connectors.sql.source import SqlQuerySource
from pipeline.api.job import StreamJob
from pipeline.core.config import JobConfig

ITERSIZE = 2000
"""Rows a hand-written loop fetches at once; psycopg's own 100 would make it an easy match."""

FIELDS = ("id", "customer", "amount", "price", "placed", "total")
NO_CHECKPOINTS = JobConfig(checkpoint_interval=None, checkpoint_rows=None)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """What is to be written.

    Args:
        dsn: of the server that holds the table.
        orders: how many of its rows.
        folder: where files and checkpoints go.
    """

    dsn: str
    orders: int
    folder: Path

    @property
    def sql(self) -> str:
        return f"SELECT id, customer, amount, price, placed FROM orders WHERE id <= {self.orders} ORDER BY id"


def create(dsn: str, orders: int) -> None:
    """Fill the table; a row is what an order is: numbers, text, money, a time."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE orders AS SELECT id::bigint, 'customer ' || id %% 1000 AS customer, "
            "(id %% 99)::int AS amount, (id %% 9999)::numeric(10, 2) / 100 AS price, "
            "timestamptz '2024-01-01 00:00:00+00' + id * interval '1 second' AS placed "
            "FROM generate_series(1, %s) AS id",
            (orders,),
        )
        connection.execute("ALTER TABLE orders ADD PRIMARY KEY (id)")
        connection.execute("VACUUM ANALYZE orders")


def with_total(row: Row) -> Row:
    """The function of the job, where a record is a dict."""
    return {**row, "total": row["amount"] * row["price"]}


def with_total_tuple(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same where it is a tuple."""
    return (*row, row[2] * row[3])


def loop_dicts(report: Report) -> int:
    return _loop(report, dict_row, lambda row: with_total(row).values())


def loop_tuples(report: Report) -> int:
    return _loop(report, tuple_row, with_total_tuple)


def _loop(report: Report, rows: Any, to_line: Callable[[Any], Any]) -> int:
    path = report.folder / "loop.csv"
    with (
        psycopg.connect(report.dsn, row_factory=rows) as connection,
        connection.cursor(name="orders") as cursor,
        path.open("w", encoding="utf-8", newline="") as file,
    ):
        cursor.itersize = ITERSIZE
        cursor.execute(report.sql.encode())
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(FIELDS)
        for row in cursor:
            writer.writerow(to_line(row))
    return path.stat().st_size


def job_dicts(report: Report) -> int:
    return _job(report, SqlQuerySource(report.sql, key="id", dsn=report.dsn), with_total, JobConfig())


def job_tuples(report: Report) -> int:
    source = SqlQuerySource(report.sql, key="id", dsn=report.dsn, rows="tuple")
    return _job(report, source, with_total_tuple, JobConfig())


def job_without_checkpoints(report: Report) -> int:
    return _job(report, SqlQuerySource(report.sql, key="id", dsn=report.dsn), with_total, NO_CHECKPOINTS)


def _job(
    report: Report, source: SqlQuerySource[Any], function: Callable[[Any], Any], config: JobConfig
) -> int:
    path = report.folder / "job.csv"
    builder = (
        StreamJob.builder().name("orders").source(source).map(function).sink(FileSink(path, fields=FIELDS))
    )
    run(builder.config(replace(config, checkpoint_dir=report.folder / "checkpoints")).build())
    return path.stat().st_size
