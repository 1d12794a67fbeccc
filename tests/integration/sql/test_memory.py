"""SqlQuerySource in constant memory, whatever the size of the result."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

from connectors.sql import SqlQuerySource

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.integration.sql.conftest import Reading

SQL = "SELECT i AS id, repeat('row ' || i, 30) AS text FROM generate_series(1, %s) AS i"


def resident_bytes() -> int:
    """What the process holds now: libpq's buffers are not seen by `tracemalloc`."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def peak(rows: int, database: Database, reading: type[Reading]) -> tuple[int, int]:
    """Read that many rows and keep none; return the peak of Python's and the process's memory."""
    largest = 0

    def forget(run: Reading) -> None:
        nonlocal largest
        run.values.clear()
        run.origins.clear()
        largest = max(largest, resident_bytes())

    tracemalloc.start()
    try:
        reading(on_emit=forget).run(SqlQuerySource(SQL, key="id", dsn=database.dsn, parameters=[rows]))
        return tracemalloc.get_traced_memory()[1], largest
    finally:
        tracemalloc.stop()


def test_ten_times_the_rows_take_no_more_memory(database: Database, reading: type[Reading]) -> None:
    """A client-side result of 100,000 rows would take 50 MB, as libpq keeps it 30."""
    few_traced, few_resident = peak(10_000, database, reading)
    many_traced, many_resident = peak(100_000, database, reading)
    assert many_traced < few_traced + 1_000_000
    assert many_resident < few_resident + 8_000_000
