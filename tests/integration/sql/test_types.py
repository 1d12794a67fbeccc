"""SqlQuerySource on a real server: values of every type, by text and binary, as records and as keys."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connectors.sql import SqlQuerySource
from connectors.sql.columns import Column, binary_is_faithful
from pipeline.core.errors import ConfigError, SourceError
from state.encoding import from_json, to_json

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.integration.sql.conftest import Reading

DAY = datetime(2013, 1, 1, 10, 30, 0, 5)  # noqa: DTZ001 - as a `timestamp` has none
VALUES: dict[str, list[tuple[str, Any]]] = {
    "smallint": [("-32768", -32768), ("32767", 32767)],
    "integer": [("-2147483648", -(2**31))],
    "bigint": [("9223372036854775807", 2**63 - 1)],
    "oid": [("4294967295", 2**32 - 1)],
    "numeric": [
        ("123456789012345678901234567890.10", Decimal("123456789012345678901234567890.10")),
        ("-0.000000000000000000001", Decimal("-0.000000000000000000001")),
        ("1.50", Decimal("1.50")),
        ("1e10", Decimal(10000000000)),
        ("Infinity", Decimal("Infinity")),
        ("0", Decimal(0)),
    ],
    "real": [("0.1", 0.1), ("0.7", 0.7)],
    "double precision": [("0.1", 0.1), ("-1e300", -1e300), ("Infinity", float("inf"))],
    "boolean": [("true", True), ("false", False)],
    "text": [("Zoë 'quoted\" \\ %s", "Zoë 'quoted\" \\ %s"), ("", ""), ("𝄞", "𝄞")],
    "character varying": [("abc ", "abc ")],
    "character(3)": [("ab", "ab ")],
    "name": [("pg_class", "pg_class")],
    "bytea": [("\\x00ff27", b"\x00\xff'"), ("", b"")],
    "uuid": [("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"))],
    "date": [("2013-01-01", date(2013, 1, 1)), ("0001-01-01", date(1, 1, 1))],
    "time": [("10:30:00.000005", DAY.time()), ("23:59:59.999999", time(23, 59, 59, 999999))],
    "timetz": [("10:30+05:30", time(10, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))))],
    "timestamp": [("2013-01-01 10:30:00.000005", DAY)],
    "timestamptz": [("2013-01-01 10:30:00.000005+00", DAY.replace(tzinfo=UTC))],
    "interval": [
        ("1 day 02:03:04.000005", timedelta(days=1, hours=2, minutes=3, seconds=4, microseconds=5)),
        ("-1 day", timedelta(days=-1)),
        ("-00:00:00.000001", timedelta(microseconds=-1)),
    ],
    "json": [
        ('{"b": [1, null, 2.5], "a": "x"}', {"b": [1, None, 2.5], "a": "x"}),
        ("[1e400, 1.10, 1E5]", [Decimal("1E+400"), 1.1, 100000.0]),
    ],
    "jsonb": [
        ('{"n": {"m": [1, {"k": true}]}}', {"n": {"m": [1, {"k": True}]}}),
        ("null", None),
        ("[123456789.123456789123, 0.1]", [Decimal("123456789.123456789123"), 0.1]),
        ("12345678901234567890", 12345678901234567890),
    ],
    "integer[]": [("{1,NULL,3}", [1, None, 3]), ("{{1,2},{3,4}}", [[1, 2], [3, 4]]), ("{}", [])],
    "text[]": [('{a,"b,c",NULL}', ["a", "b,c", None])],
    "numeric[]": [("{1.50,2}", [Decimal("1.50"), Decimal(2)])],
    "timestamptz[]": [('{"2013-01-01 10:30:00.000005+00"}', [DAY.replace(tzinfo=UTC)])],
    "uuid[]": [("{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", [UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")])],
    "mood": [("happy", "happy")],
    "inet": [("10.0.0.1/8", "10.0.0.1/8")],
    "point": [("(1,2)", "(1,2)")],
}
"""For each type what PostgreSQL reads and what Python gets."""


@pytest.fixture
def typed(database: Database) -> Database:
    database.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    return database


@pytest.mark.parametrize("kind", [kind for kind, values in VALUES.items() if values])
def test_a_value_comes_back_as_python_has_it(kind: str, typed: Database, reading: type[Reading]) -> None:
    """Equal, of the same type, and so through what a checkpoint stores."""
    for text, expected in VALUES[kind]:
        source = SqlQuerySource(f"SELECT %s::{kind} AS v", dsn=typed.dsn, parameters=[text], rows="tuple")
        (value,) = reading().run(source).values[0]
        assert (value, type(value)) == (expected, type(expected))
        stored = from_json(json.loads(json.dumps(to_json(value))))
        assert (stored, type(stored)) == (value, type(value))


@pytest.mark.parametrize("kind", list(VALUES))
def test_null_is_none_in_every_type(kind: str, typed: Database, reading: type[Reading]) -> None:
    source = SqlQuerySource(f"SELECT NULL::{kind} AS v", dsn=typed.dsn, rows="tuple")
    assert reading().run(source).values == [(None,)]


@pytest.mark.parametrize("kind", [kind for kind, values in VALUES.items() if values])
def test_binary_is_used_only_where_it_returns_what_text_returns(kind: str, typed: Database) -> None:
    """The table of faithful types, against psycopg's loaders of both formats."""
    with psycopg.connect(typed.dsn) as connection:
        for text, _ in VALUES[kind]:
            cursor = connection.execute(f"SELECT format_type(pg_typeof(%s::{kind}), NULL)".encode(), [text])
            name = cursor.fetchall()[0][0]
            select = f"SELECT %s::{kind}".encode()
            by_text, by_binary = (
                connection.execute(select, [text], binary=binary).fetchall()[0][0] for binary in (False, True)
            )
            if binary_is_faithful([Column("v", name)]):
                assert repr(by_binary) == repr(by_text)


def test_a_mixed_row_with_an_enum_still_comes_as_values(typed: Database, reading: type[Reading]) -> None:
    """One column that binary cannot give makes the whole result text; the others do not suffer."""
    sql = "SELECT 'happy'::mood AS m, 7::bigint AS i, '\\x00'::bytea AS b, 1.50::numeric AS n"
    done = reading().run(SqlQuerySource(sql, dsn=typed.dsn, rows="tuple"))
    assert done.values == [("happy", 7, b"\x00", Decimal("1.50"))]


KEYS = {
    "smallint": "i",
    "bigint": "i * 1000000000000",
    "numeric": "i / 3.0",
    "real": "i / 10.0",
    "double precision": "i / 10.0",
    "text": "'k''%' || i",
    "character(4)": "i",
    "bytea": "decode(lpad(to_hex(i), 4, '0'), 'hex')",
    "uuid": "md5(i::text)",
    "boolean": "i > 20",
    "date": "'2013-01-01'::date + i",
    "timestamp": "'2013-01-01'::timestamp + i * '0.000001 s'::interval",
    "timestamptz": "'2013-03-10 06:59Z'::timestamptz + i * '1 minute'::interval",
    "time": "'00:00'::time + i * '0.000001 s'::interval",
    "mood": "CASE WHEN i > 20 THEN 'happy' ELSE 'sad' END",
}


@pytest.mark.parametrize("kind", list(KEYS))
def test_every_kind_of_key_can_be_resumed_by(kind: str, typed: Database, reading: type[Reading]) -> None:
    """Stopped after any row, ties included, the next run continues with the next row."""
    typed.execute(f"CREATE TABLE t AS SELECT ({KEYS[kind]})::{kind} AS k, i FROM generate_series(1, 40) AS i")
    typed.execute("INSERT INTO t SELECT k, i + 100 FROM t WHERE i % 5 = 0")
    source = SqlQuerySource("TABLE t", key="k", dsn=typed.dsn, rows="tuple")
    whole = reading().run(source).values
    assert len(whole) == 48
    for stop in range(1, 49, 3):
        first = reading(limit=stop, batch=4).run(source)
        second = reading(batch=4).run(source, first.state)
        assert sorted(first.values + second.values) == sorted(whole)


DISAGREEING: dict[str, str] = {
    "double precision": "CASE i % 3 WHEN 0 THEN 1.23456789012345 + i/1e15 ELSE (1.5 - i % 3) * 0::float8 END",
    "real": "0.1234567 + i * 1e-8",
    "numeric": "(ARRAY['1', '1.0', '1.00', 'Infinity', '-Infinity', '1.000000000000000000001'])[i % 6 + 1]",
    "character(4)": "(ARRAY['a', 'a ', 'a  b', '  a', ''])[i % 5 + 1]",
    "character varying": "(ARRAY['a', 'a ', 'a  b', 'A', '', 'é', 'e' || chr(769)])[i % 7 + 1]",
    "text": "(ARRAY['a', 'a ', 'a  b', 'A', '', 'é', 'e' || chr(769)])[i % 7 + 1]",
    "timetz": "(ARRAY['10:00+00', '11:00+01', '09:00-01', '10:00:00.000001+00'])[i % 4 + 1]",
    "timestamptz": "'2013-11-03 04:30Z'::timestamptz + i * '7 minutes'::interval",
}
"""Keys of which Python and PostgreSQL could think differently which are equal, and which is the larger."""


@pytest.mark.parametrize("beside", ["i", "i::real AS i"], ids=["binary", "text"])
@pytest.mark.parametrize("kind", list(DISAGREEING))
def test_what_two_languages_compare_differently_is_read_once_all_the_same(
    kind: str, beside: str, typed: Database, reading: type[Reading]
) -> None:
    """Wherever it is stopped; where floats are rounded by default, and in an hour that comes twice."""
    typed.execute(
        f"CREATE TABLE t AS SELECT ({DISAGREEING[kind]})::{kind} AS k, i FROM generate_series(1, 40) i"
    )
    options = f"{conninfo_to_dict(typed.dsn)['options']} -c TimeZone=America/New_York -c extra_float_digits=0"
    dsn = make_conninfo(typed.dsn, options=options)
    source = SqlQuerySource(f"SELECT k, {beside} FROM t", key="k", dsn=dsn, rows="tuple")
    whole = sorted(map(repr, reading().run(source).values))
    for stop in range(1, 40, 2):
        first = reading(limit=stop, batch=4).run(source)
        second = reading(batch=4).run(source, first.state)
        assert sorted(map(repr, first.values + second.values)) == whole


def test_an_interval_is_not_a_key(database: Database, reading: type[Reading]) -> None:
    """`1 year` is 360 days to PostgreSQL and 365 to Python: a resumed run would leave out what is between."""
    sql = "SELECT '1 year'::interval AS k UNION ALL SELECT '361 days'"
    with pytest.raises(ConfigError, match=r"'k' is of type interval.*extract\(epoch FROM"):
        reading().run(SqlQuerySource(sql, key="k", dsn=database.dsn))


def test_timestamps_come_in_the_session_time_zone_and_it_may_not_change(
    database: Database, reading: type[Reading]
) -> None:
    """Half a report in one zone and half in another would be worse than none."""
    database.execute("CREATE TABLE t AS SELECT 1 AS id, '2013-07-01 12:00Z'::timestamptz AS at")
    options = conninfo_to_dict(database.dsn)["options"]
    rome, tokyo = (
        make_conninfo(database.dsn, options=f"{options} -c TimeZone={zone}")
        for zone in ("Europe/Rome", "Asia/Tokyo")
    )
    first = reading().run(SqlQuerySource("TABLE t", key="id", dsn=rome))
    assert first.values[0]["at"] == datetime(2013, 7, 1, 14, tzinfo=ZoneInfo("Europe/Rome"))
    with pytest.raises(SourceError, match="time zone of the database session changed"):
        reading().run(SqlQuerySource("TABLE t", key="id", dsn=tokyo), first.state)
