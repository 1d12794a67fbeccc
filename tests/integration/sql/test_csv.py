"""From PostgreSQL through a csv file and back by COPY: every value is the one it was."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from connectors import FileSink, SqlQuerySource
from pipeline.api.job import StreamJob

from .test_values import SAMPLES, supported

if TYPE_CHECKING:
    from tests.conftest import Database


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are kept below the working directory."""
    monkeypatch.chdir(tmp_path)


def copy_to_csv(database: Database, sql: str, path: str, rows: Any = "dict", **options: Any) -> None:
    job = StreamJob("csv")
    job.source(SqlQuerySource(sql, dsn=database.dsn, rows=rows)).sink(FileSink(path, **options))
    job.execute()


def copy_from_csv(database: Database, table: str, path: str) -> None:
    command = f"COPY {table} FROM STDIN (FORMAT csv, HEADER MATCH, NULL '\\N')"
    with (
        psycopg.connect(database.dsn, autocommit=True) as connection,
        connection.cursor().copy(command.encode()) as copy,
    ):
        copy.write(Path(path).read_bytes())


def test_every_type_comes_back_as_it_was(database: Database) -> None:
    """Each is a column; NULL and the empty text are told apart."""
    kinds = [kind for kind in SAMPLES if supported(kind, database)]
    columns = ", ".join(f'"v_{kind}" {kind}' for kind in kinds)
    database.execute(f"CREATE TABLE original (n integer, {columns})")
    # A text or null that is all of a JSON value has become a text or NULL when it was read.
    samples = [[text for text in SAMPLES[kind] if text not in ('"x"', "null")] for kind in kinds]
    for number, texts in enumerate(zip_longest(*samples)):
        database.execute(
            f"INSERT INTO original VALUES (%s, {', '.join(['%s'] * len(kinds))})", [number, *texts]
        )
    copy_to_csv(database, "SELECT * FROM original ORDER BY n", "o.csv", null="\\N")
    database.execute(f"CREATE TABLE copied (n integer, {columns})")
    copy_from_csv(database, "copied", "o.csv")
    for kind in kinds:
        # `json` is a text, of which the same value is another; a day of 24 hours is one to both.
        compared = "::jsonb" if kind == "json" else "" if kind in ("jsonb", "interval") else "::text"
        differing = database.execute(
            f'SELECT o."v_{kind}"::text, c."v_{kind}"::text FROM original o FULL JOIN copied c USING (n) '
            f'WHERE o."v_{kind}"{compared} IS DISTINCT FROM c."v_{kind}"{compared}'
        )
        assert differing == [], kind


@pytest.mark.parametrize("rows", ["dict", "tuple", "namedtuple"])
@pytest.mark.parametrize("where", ["true", "n < 0"])
def test_a_query_has_its_header_with_rows_and_without(rows: str, where: str, database: Database) -> None:
    """Also where a filter lets nothing pass; what a map makes of its rows only records can tell."""
    sql = f"SELECT n, 'x' AS m FROM generate_series(1, 2) n WHERE {where}"
    copy_to_csv(database, sql, "o.csv", rows=rows)
    assert Path("o.csv").read_text() == ("n,m\n1,x\n2,x\n" if where == "true" else "n,m\n")


@pytest.mark.parametrize(
    ("change", "header"),
    [
        (lambda stream: stream.filter(lambda row: False), "n,m\n"),
        (lambda stream: stream.key_by(lambda row: row["n"]).reduce(max), ""),
        (lambda stream: stream.map(lambda row: {"k": row["n"]}), ""),
        (lambda stream: stream.filter(lambda row: False).union(stream.map(dict)), ""),
    ],
    ids=["filter", "reduce", "map", "union with a map"],
)
def test_operators_in_between(change: Any, header: str, database: Database) -> None:
    job = StreamJob("csv")
    stream = job.source(SqlQuerySource("SELECT 1 AS n, 2 AS m WHERE false", dsn=database.dsn))
    change(stream).sink(FileSink("o.csv"))
    job.execute()
    assert Path("o.csv").read_text() == header
