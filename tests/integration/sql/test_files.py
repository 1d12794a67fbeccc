"""From PostgreSQL through a csv or jsonl file and back: every value is the one it was."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from connectors import FileSink, SqlQuerySource
from pipeline.api.job import StreamJob
from pipeline.core.errors import SinkError

from .test_values import SAMPLES, supported

if TYPE_CHECKING:
    from tests.conftest import Database


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints are kept below the working directory."""
    monkeypatch.chdir(tmp_path)


def copy_to_file(database: Database, sql: str, path: str, rows: Any = "dict", **options: Any) -> None:
    job = StreamJob("copy")
    job.source(SqlQuerySource(sql, dsn=database.dsn, rows=rows)).sink(FileSink(path, **options))
    job.execute()


def copy_from_csv(database: Database, table: str, path: str) -> None:
    command = f"COPY {table} FROM STDIN (FORMAT csv, HEADER MATCH, NULL '\\N')"
    with (
        psycopg.connect(database.dsn, autocommit=True) as connection,
        connection.cursor().copy(command.encode()) as copy,
    ):
        copy.write(Path(path).read_bytes())


def copy_from_jsonl(database: Database, table: str, path: str) -> None:
    """As `json`, of which PostgreSQL keeps every digit."""
    for line in Path(path).read_text(encoding="utf-8").split("\n")[:-1]:
        # To PostgreSQL each part of a duration has a sign of its own; here it is in front of the whole.
        read = re.sub(r'(?<=:")-(P[\dDTHMS.]+")', lambda found: re.sub(r"(\d[\d.]*)", r"-\1", found[1]), line)
        database.execute(
            f"INSERT INTO {table} SELECT (json_populate_record(NULL::{table}, %s::json)).*", [read]
        )
    database.execute(f"UPDATE {table} SET v_bytea = decode(convert_from(v_bytea, 'UTF8'), 'base64')")


def fill(database: Database, kinds: dict[str, list[str]]) -> None:
    """Make a table of each type's samples, one column a type, and an empty one like it."""
    columns = ", ".join(f'"v_{kind}" {kind}' for kind in kinds)
    for table in ("original", "copied"):
        database.execute(f"CREATE TABLE {table} (n integer, {columns})")
    for number, texts in enumerate(zip_longest(*kinds.values())):
        database.execute(
            f"INSERT INTO original VALUES (%s, {', '.join(['%s'] * len(kinds))})", [number, *texts]
        )


def differing(database: Database, kinds: Iterable[str]) -> dict[str, Any]:
    """Return what is not the same in both tables, by type."""
    found: dict[str, Any] = {}
    for kind in kinds:
        # `json` is a text, of which the same value is another; a day of 24 hours is one to both.
        compared = "::jsonb" if kind == "json" else "" if kind in ("jsonb", "interval") else "::text"
        found[kind] = database.execute(
            f'SELECT o."v_{kind}"::text, c."v_{kind}"::text FROM original o FULL JOIN copied c USING (n) '
            f'WHERE o."v_{kind}"{compared} IS DISTINCT FROM c."v_{kind}"{compared}'
        )
    return {kind: rows for kind, rows in found.items() if rows}


def test_every_type_comes_back_from_csv_as_it_was(database: Database) -> None:
    """Each is a column; NULL and the empty text are told apart."""
    # A text or null that is all of a JSON value has become a text or NULL when it was read.
    kinds = {
        kind: [text for text in SAMPLES[kind] if text not in ('"x"', "null")]
        for kind in SAMPLES
        if supported(kind, database)
    }
    fill(database, kinds)
    copy_to_file(database, "SELECT * FROM original ORDER BY n", "o.csv", null="\\N")
    copy_from_csv(database, "copied", "o.csv")
    assert differing(database, kinds) == {}


NO_NUMBERS = ("NaN", "Infinity", "-Infinity")
NO_OFFSET = "10:00:00-15:59:59"


def test_every_type_comes_back_from_jsonl_as_it_was(database: Database) -> None:
    """Numbers have all their digits, in JSON columns too."""
    kinds = {
        kind: [text for text in SAMPLES[kind] if text not in (*NO_NUMBERS, NO_OFFSET, "null")]
        for kind in SAMPLES
        if supported(kind, database)
    }
    fill(database, kinds)
    copy_to_file(database, "SELECT * FROM original ORDER BY n", "o.jsonl")
    copy_from_jsonl(database, "copied", "o.jsonl")
    assert differing(database, kinds) == {}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *product(["float4", "float8", "numeric"], NO_NUMBERS),
        ("timetz", NO_OFFSET),
        ("timetz[]", f"{{{NO_OFFSET}}}"),
    ],
)
def test_what_json_has_no_form_for_is_refused_by_its_column(
    kind: str, value: str, database: Database
) -> None:
    with pytest.raises(SinkError, match=r"\['v'\](\[0\])? is .*, for which JSON has no form"):
        copy_to_file(database, f"SELECT '{value}'::{kind} AS v", "o.jsonl")


@pytest.mark.parametrize("rows", ["dict", "tuple", "namedtuple"])
@pytest.mark.parametrize("where", ["true", "n < 0"])
def test_a_query_has_its_header_with_rows_and_without(rows: str, where: str, database: Database) -> None:
    """Also where a filter lets nothing pass; what a map makes of its rows only records can tell."""
    sql = f"SELECT n, 'x' AS m FROM generate_series(1, 2) n WHERE {where}"
    copy_to_file(database, sql, "o.csv", rows=rows)
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


@pytest.mark.parametrize("where", ["true", "false"])
def test_columns_of_one_name_make_no_header(where: str, database: Database) -> None:
    """Tuples may repeat a name, and who reads the file could not tell the fields apart."""
    sql = f"SELECT 1 AS n, 2 AS n WHERE {where}"
    if where == "true":
        with pytest.raises(SinkError, match="it has no names for the header"):
            copy_to_file(database, sql, "o.csv", rows="tuple")
    else:
        copy_to_file(database, sql, "o.csv", rows="tuple")
        assert Path("o.csv").read_text() == ""
