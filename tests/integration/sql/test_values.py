"""Every type of PostgreSQL comes out with the value the server holds, or is refused by column and row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connectors.sql import SqlQuerySource
from pipeline.core.errors import Fault, SourceError

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.integration.sql.conftest import Reading

SAMPLES: Final[dict[str, list[str]]] = {
    "aclitem": ["postgres=r/postgres"],
    "bit": ["1"],
    "bool": ["true", "false"],
    "box": ["(1,1),(0,0)"],
    "bpchar": ["ab ", ""],
    "bytea": ["\\x00ff27", "", "\\x5c78"],
    "cid": ["7"],
    "cidr": ["10.0.0.0/8", "2001:db8::/32"],
    "circle": ["<(0,0),1>"],
    "date": ["2026-11-30", "0001-01-01", "9999-12-31"],
    "datemultirange": ["{[2026-01-01,2026-02-01),[2026-03-01,)}"],
    "daterange": ["[2026-01-01,infinity)", "empty"],
    "float4": ["0.1", "3.4e38", "-0", "NaN", "Infinity"],
    "float8": ["0.1", "1e-300", "0.30000000000000004", "NaN", "-Infinity"],
    "inet": ["192.168.0.1/24", "::1"],
    "int2": ["-32768"],
    "int4": ["2147483647"],
    "int4multirange": ["{[1,3),[5,7)}"],
    "int4range": ["[1,5)", "(,)"],
    "int8": ["9223372036854775807"],
    "int8multirange": ["{}"],
    "int8range": ["[9223372036854775806,)"],
    "interval": ["1 day -02:03:04.000005", "-00:00:00.000001", "999999999 days", "3 days 04:00:00"],
    "json": ['{"b": [1, null, 2.50], "a": "é"}', "1e400", "[123456789.123456789123]", '"x"'],
    "jsonb": ['{"n": 123456789.123456789123, "z": [0.1, 1e400, 1e-400, 12345678901234567890]}', "null"],
    "jsonpath": ["$.a[*] ? (@ > 1)"],
    "line": ["{1,2,3}"],
    "lseg": ["[(0,0),(1,1)]"],
    "macaddr": ["08:00:2b:01:02:03"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "money": ["-1234.56"],
    "name": ["pg_class"],
    "numeric": ["0.0000001", "1.50", "-1e-30", "1e40", "NaN", "Infinity"],
    "nummultirange": ["{[1.5,2.5)}"],
    "numrange": ["(1.50,]"],
    "oid": ["4294967295"],
    "path": ["((0,0),(1,1))"],
    "pg_lsn": ["16/B374D848"],
    "pg_snapshot": ["10:20:10,14,15"],
    "point": ["(1,2)"],
    "polygon": ["((0,0),(1,1),(1,0))"],
    "refcursor": ["c"],
    "regclass": ["pg_class"],
    "regcollation": ['"C"'],
    "regconfig": ["simple"],
    "regdictionary": ["simple"],
    "regnamespace": ["pg_catalog"],
    "regoper": ["||/"],
    "regoperator": ["+(integer,integer)"],
    "regproc": ["now"],
    "regprocedure": ["lower(text)"],
    "regrole": ["pg_monitor"],
    "regtype": ["timestamp with time zone"],
    "text": ["Zoë 'quoted\" \\ %s", "", "\t\n\r", "𝄞"],
    "tid": ["(1,2)"],
    "time": ["10:30:00.000005", "23:59:59.999999"],
    "timestamp": ["2026-11-30 10:30:00.000005", "0001-01-01 00:00:00"],
    "timestamptz": ["2026-11-30 10:30:00.000005+00", "9999-12-31 23:59:59+00"],
    "timetz": ["10:30:00+05:30", "10:00:00-15:59:59"],
    "tsmultirange": ['{["2026-01-01 00:00:00","2026-01-02 00:00:00")}'],
    "tsquery": ["'fat' & !'rat':A"],
    "tsrange": ['["2026-01-01 00:00:00",)'],
    "tstzmultirange": ['{["2026-01-01 00:00:00+00",)}'],
    "tstzrange": ['["2026-01-01 00:00:00+00",infinity]'],
    "tsvector": ["'a':1 'cat':2,3A"],
    "txid_snapshot": ["10:20:10,14,15"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
    "varbit": ["10110"],
    "varchar": ["abc "],
    "xid": ["123"],
    "xid8": ["123"],
    "xml": ["<a>é</a>"],
}
"""Values of every type that a column can have, in PostgreSQL's own text."""

WITHOUT_VALUES: Final = {"gtsvector"}
PLAIN: Final = (bool, int, float, Decimal, str, bytes, UUID, date, time, datetime, timedelta, list, dict)

ALL_TYPES: Final = """
    SELECT typname FROM pg_type
    WHERE typnamespace = 'pg_catalog'::regnamespace
        AND typtype IN ('b', 'r', 'm') AND typcategory NOT IN ('A', 'Z')
"""


def supported(kind: str, database: Database) -> bool:
    """Whether the server can read a value of the type: some are built without XML."""
    try:
        database.execute(f"SELECT %s::{kind} IS NULL", [SAMPLES[kind][0]])
    except psycopg.errors.FeatureNotSupported:
        return False
    return True


def test_no_type_of_the_server_is_left_out(database: Database) -> None:
    found = {name for (name,) in database.execute(ALL_TYPES)}
    assert found <= SAMPLES.keys() | WITHOUT_VALUES


@pytest.mark.parametrize("beside", ["1 AS id", "1 AS id, 1.5::real AS r"], ids=["binary", "text"])
@pytest.mark.parametrize("kind", list(SAMPLES))
def test_the_value_is_the_one_the_server_holds(
    kind: str, beside: str, database: Database, reading: type[Reading]
) -> None:
    """Sent back, it has the server's own text again; what Python has no type for is that text."""
    if not supported(kind, database):
        return
    for text in SAMPLES[kind]:
        source = SqlQuerySource(
            f"SELECT v, format('%%s', v), l, format('%%s', l), {beside} "
            f"FROM (SELECT v, ARRAY[v, NULL] AS l FROM (SELECT %s::{kind} AS v) a) b",
            dsn=database.dsn,
            parameters=[text],
            rows="tuple",
        )
        ((value, expected, several, listed, *_),) = reading().run(source).values
        in_list = listed if isinstance(several, str) else [value, None]
        assert repr(several) == repr(in_list)  # as text, since NaN is not equal to itself
        assert isinstance(value, PLAIN) or value is None
        if isinstance(value, str) and kind != "json":
            assert value == expected
        elif kind in ("json", "jsonb"):
            encoded = msgspec.json.Encoder(decimal_format="number").encode(value).decode()
            assert database.execute("SELECT %s::jsonb = %s::jsonb", [encoded, expected]) == [(True,)]
        elif kind == "interval":  # a day of 24 hours is one to both
            assert database.execute("SELECT %s::interval = %s::interval", [value, expected]) == [(True,)]
        else:
            assert database.execute(f"SELECT format('%%s', %s::{kind})", [value]) == [(expected,)]


OWN_TYPES = """
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TYPE pair AS (a integer, b text);
    CREATE DOMAIN price AS numeric(10, 2);
    CREATE TYPE span AS RANGE (subtype = date)
"""


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'happy'::mood", "happy"),
        ("ARRAY['happy']::mood[]", "{happy}"),
        ("ROW(1, 'a b')::pair", '(1,"a b")'),
        ("ROW(1, 'a b')", '(1,"a b")'),
        ("1.5::price", Decimal("1.50")),
        ("span('2026-01-01', NULL)", "[2026-01-01,)"),
    ],
)
def test_types_of_ones_own_are_text(
    expression: str, value: Any, database: Database, reading: type[Reading]
) -> None:
    database.execute(OWN_TYPES)
    source = SqlQuerySource(f"SELECT {expression} AS v", dsn=database.dsn, rows="tuple")
    assert reading().run(source).values == [(value,)]


REFUSED = {
    "date": ["infinity", "-infinity", "10000-01-01", "0044-03-15 BC"],
    "timestamp": ["infinity", "294276-12-31", "4713-01-01 BC"],
    "timestamptz": ["infinity", "-infinity", "10000-01-01Z"],
    "time": ["24:00:00"],
    "timetz": ["24:00:00+00"],
    "interval": ["1 year 2 mons", "-1 mon", "1 mon -30 days", "infinity", "2147483647 days"],
    "interval[]": ["{1 day,1 mon}"],
    "jsonb": ["1e5000", f"{'[' * 5000}{']' * 5000}"],
    "json": [f"{'[' * 5000}{']' * 5000}"],
}
"""Values that Python cannot hold."""


@pytest.mark.parametrize("beside", ["", ", 1.5::real AS r"], ids=["binary", "text"])
@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_python_cannot_hold_is_refused_by_column_and_row(
    kind: str, beside: str, database: Database, reading: type[Reading]
) -> None:
    database.execute(f'CREATE TABLE t (id integer, before {kind}, "The ""v""" {kind})')
    database.execute("INSERT INTO t SELECT n FROM generate_series(1, 9) n")
    for text in REFUSED[kind]:
        database.execute('UPDATE t SET "The ""v""" = %s WHERE id = 7', [text])
        source = SqlQuerySource(f"SELECT *{beside} FROM t", key="id", dsn=database.dsn)
        with pytest.raises(SourceError, match=r"column 'The \"v\"' of row 7 \(id = 7\) cannot") as raised:
            reading().run(source)
        assert (raised.value.retryable, raised.value.fault) == (False, Fault.USER)
        assert str(raised.value).endswith('— cast it in the query, for example to text: "The ""v"""::text')


@pytest.mark.parametrize("row", [1, 2, 3, 4, 999, 1000, 1001, 5000])
@pytest.mark.parametrize("fetch_size", [1, 3, 500])
@pytest.mark.parametrize("key", ["id", None])
def test_the_row_is_named_wherever_in_the_stream_it_is(
    row: int, fetch_size: int, key: str | None, database: Database, reading: type[Reading]
) -> None:
    """What the server sent after it does not come between; a resumed run counts on."""
    sql = f"SELECT n AS id, CASE WHEN n = {row} THEN 'infinity' ELSE '2026-11-30' END::date AS d"
    source = SqlQuerySource(
        f"{sql} FROM generate_series(1, 6000) n", key=key, dsn=database.dsn, fetch_size=fetch_size
    )
    which = f"{row:,}" + (rf" \(id = {row}\)" if key else "")
    with pytest.raises(SourceError, match=f"column 'd' of row {which} cannot be read"):
        reading().run(source)
    if key and row > 3:
        half = reading(limit=row - 3).run(source)
        with pytest.raises(SourceError, match=f"column 'd' of row {which} cannot be read"):
            reading().run(source, half.state)


@pytest.fixture
def without_encoding(database: Database) -> Iterator[str]:
    """The DSN of a database that takes any bytes as text."""
    name = f"ascii_{os.getpid()}"
    database.execute(
        f"CREATE DATABASE {name} ENCODING SQL_ASCII TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    )
    yield make_conninfo(database.dsn, dbname=name, options="")
    database.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_text_that_is_not_utf8_is_refused_by_column_and_row(
    without_encoding: str, reading: type[Reading]
) -> None:
    name = "CASE n WHEN 3 THEN E'Caf\\xe9' ELSE E'Caf\\xc3\\xa9' END"
    sql = f"SELECT n AS id, {name} AS name FROM generate_series(1, 4) n"
    for beside in ("", ", 1.5::real AS r"):
        source = SqlQuerySource(f"SELECT *{beside} FROM ({sql}) t", key="id", dsn=without_encoding)
        assert reading(limit=1).run(source).values[0]["name"] == "Café"
        with pytest.raises(SourceError, match=r"'name' of row 3 \(id = 3\).* is not UTF-8: b'Caf\\xe9'"):
            reading().run(source)
    source = SqlQuerySource(
        f"SELECT convert_to(name, 'SQL_ASCII') AS name FROM ({sql}) t WHERE id = 3",
        dsn=without_encoding,
        rows="tuple",
    )
    assert reading().run(source).values == [(b"Caf\xe9",)]


UNUSUAL = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-5",
    "bytea_output": "escape",
    "standard_conforming_strings": "off",
    "client_encoding": "latin1",
    "default_transaction_read_only": "off",
}


@pytest.mark.parametrize("how", ["options", "role"])
@pytest.mark.parametrize("beside", ["", ", 0.1::real AS r"], ids=["binary", "text"])
def test_the_settings_of_a_database_or_a_user_change_no_value(
    how: str, beside: str, database: Database, reading: type[Reading]
) -> None:
    """The order of day and month stays: the query's own literals are read in it."""
    sql = f"""
        SELECT 1 AS id, '01/02/2026'::date AS day, '2026-11-30 10:30:00.5'::timestamp AS at,
               '2026-11-30 10:30Z'::timestamptz AS zoned, '1 day 02:03:04'::interval AS took,
               0.1::float8 + 0.2 AS f, 'é€'::text AS text, 'a\\b'::text AS backslash,
               '\\x5c00'::bytea AS bytes{beside}
    """
    options = conninfo_to_dict(database.dsn)["options"]
    dsn = make_conninfo(database.dsn, client_encoding="latin1")
    if how == "options":
        dsn = make_conninfo(
            dsn,
            options=f"{options} -c DateStyle=SQL,DMY -c TimeZone=UTC"
            + "".join(f" -c {name}={value}" for name, value in UNUSUAL.items() if name != "DateStyle"),
        )
        (row,) = reading().run(SqlQuerySource(sql, key="id", dsn=dsn)).values
    else:
        role = f"unusual_{os.getpid()}"
        database.execute(f"CREATE ROLE {role} LOGIN")
        try:
            for name, value in UNUSUAL.items():
                database.execute(f"ALTER ROLE {role} SET {name} = {value}")
            dsn = make_conninfo(dsn, user=role, options="-c TimeZone=UTC")
            (row,) = reading().run(SqlQuerySource(sql, key="id", dsn=dsn)).values
        finally:
            database.execute(f"DROP ROLE {role}")
    assert row.pop("zoned") == datetime(2026, 11, 30, 10, 30, tzinfo=UTC)
    row.pop("r", None)
    assert row == {
        "id": 1,
        "day": date(2026, 2, 1),
        "at": datetime(2026, 11, 30, 10, 30, 0, 500_000),  # noqa: DTZ001 - as a `timestamp` has none
        "text": "é€",
        "took": timedelta(days=1, hours=2, minutes=3, seconds=4),
        "f": 0.30000000000000004,
        "bytes": b"\\\x00",
        "backslash": "a\\b",
    }
