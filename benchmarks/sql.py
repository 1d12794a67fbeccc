"""From a query through a function to a csv file: speed, the price of checkpoints, memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import orders
from benchmarks.harness import Case, Limit, OnStep, Ratio, Subject, rate
from benchmarks.orders import Report
from connectors.sql.embedded import EmbeddedPostgres

RECORDS = 300_000
LARGER = 50 / 3
"""How many times as many rows the memory case has in its second run: 5 million beside 0.3 million."""


@contextmanager
def cases(records: int | None, on_step: OnStep) -> Generator[list[Case]]:
    """Start a PostgreSQL, fill its table, give the cases, and stop it."""
    rows = records or RECORDS
    many = round(rows * LARGER)
    with tempfile.TemporaryDirectory(prefix="pipeline-benchmark-") as folder:
        # The server's socket lies beside its data, and the path of a socket must be short.
        on_step("starting PostgreSQL")
        with EmbeddedPostgres(Path(folder) / "postgres") as server:
            on_step(f"making {many:,} rows")
            orders.create(server.dsn, many)
            report = Report(server.dsn, rows, Path(folder))
            yield [_dicts(report), _tuples(report), _checkpoints(report), _memory(report, many)]


def _dicts(report: Report) -> Case:
    return Case(
        "query → map → csv, rows as dicts",
        "records/s",
        _rates(report, loop=orders.loop_dicts, pipeline=orders.job_dicts),
        [Ratio("pipeline", "loop", 0.85)],
        rounds=3,
    )


def _tuples(report: Report) -> Case:
    return Case(
        "query → map → csv, rows as tuples",
        "records/s",
        _rates(report, loop=orders.loop_tuples, pipeline=orders.job_tuples),
        [Ratio("pipeline", "loop", 0.85)],
        rounds=3,
    )


def _checkpoints(report: Report) -> Case:
    name = "without checkpoints"
    work = {name: orders.job_without_checkpoints, "pipeline": orders.job_dicts}
    return Case(
        "the price of checkpoints",
        "records/s",
        _rates(report, **work),
        [Ratio("pipeline", name, 0.9)],
        rounds=3,
    )


def _rates(report: Report, **work: Callable[[Report], int]) -> dict[str, Subject]:
    size = orders.loop_dicts(report)
    return {name: rate(report.orders, size, work=function, on=report) for name, function in work.items()}


def _memory(report: Report, many: int) -> Case:
    """Compare the peaks of two fresh processes, one with few rows and one with many."""

    def growth() -> float:
        return _peak_megabytes(report, many) - _peak_megabytes(report, report.orders)

    return Case(
        f"memory that {many:,} rows need beyond {report.orders:,}",
        "MB",
        {"pipeline": growth},
        [Limit("pipeline", 40)],
        repeats=False,
    )


def _peak_megabytes(report: Report, rows: int) -> float:
    command = [sys.executable, "-m", "benchmarks.peak_memory", report.dsn, str(rows), str(report.folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)
