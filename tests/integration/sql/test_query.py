"""SqlQuerySource on a real server: what comes out of a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from connectors.sql import SqlQuerySource
from pipeline.core.errors import ConfigError, SourceError
from pipeline.core.records import Origin

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.integration.sql.conftest import Reading

NUMBERS = "SELECT i AS id, 'n' || i AS name FROM generate_series(1, %s) AS i"


def test_each_row_comes_once_in_the_order_of_the_key(database: Database, reading: type[Reading]) -> None:
    """With its origin: the row's number, from 1, in the query."""
    source = SqlQuerySource(
        "SELECT 5 - i AS id FROM generate_series(0, 4) AS i", key="id", dsn=database.dsn, rows="tuple"
    )
    done = reading(batch=2).run(source)
    assert done.values == [(1,), (2,), (3,), (4,), (5,)]
    assert done.origins == [Origin("query", number) for number in range(1, 6)]


def test_without_a_key_rows_come_in_the_order_the_query_gives(
    database: Database, reading: type[Reading]
) -> None:
    sql = "SELECT i FROM generate_series(1, 3000) AS i ORDER BY i % 7, i DESC"
    done = reading().run(SqlQuerySource(sql, dsn=database.dsn, rows="tuple"))
    assert [i for (i,) in done.values] == sorted(range(1, 3001), key=lambda i: (i % 7, -i))


@pytest.mark.parametrize(
    ("rows", "first"), [("dict", {"id": 1, "name": "n1"}), ("tuple", (1, "n1")), ("namedtuple", (1, "n1"))]
)
def test_a_record_has_the_shape_asked_for(
    rows: Any, first: Any, database: Database, reading: type[Reading]
) -> None:
    source: Any = SqlQuerySource(NUMBERS, key="id", dsn=database.dsn, parameters=[3], rows=rows)
    done = reading().run(source)
    assert done.values[0] == first
    if rows == "namedtuple":
        assert done.values[0].name == "n1"


@pytest.mark.parametrize("stop", [None, 1234])
def test_parameters_by_position_and_by_name(
    stop: int | None, database: Database, reading: type[Reading]
) -> None:
    """Also when a resumed run adds parameters of its own."""
    by_name = NUMBERS.replace("%s", "%(count)s")
    for sql, parameters in ((NUMBERS, (2000,)), (by_name, {"count": 2000})):
        source = SqlQuerySource(sql, key="id", dsn=database.dsn, parameters=parameters)
        first = reading(limit=stop).run(source)
        second = reading().run(source, first.state)
        assert [row["id"] for row in first.values + second.values] == list(range(1, 2001))


def test_a_query_may_end_like_a_script(database: Database, reading: type[Reading]) -> None:
    sql = "-- all of them\nSELECT 'a%;' AS id /* ; */ WHERE 'a%' LIKE 'a%'; -- done;\n"
    assert reading().run(SqlQuerySource(sql, key="id", dsn=database.dsn)).values == [{"id": "a%;"}]


@pytest.mark.parametrize("sql", ["VALUES (1), (2)", "WITH t AS (SELECT 1 AS a) TABLE t", "SELECT"])
def test_whatever_returns_rows_is_a_query(sql: str, database: Database, reading: type[Reading]) -> None:
    assert reading().run(SqlQuerySource(sql, dsn=database.dsn, rows="tuple")).values


def test_an_empty_result_ends_at_once(database: Database, reading: type[Reading]) -> None:
    done = reading().run(SqlQuerySource("SELECT 1 AS id WHERE false", key="id", dsn=database.dsn))
    assert done.values == []
    assert done.state is None


def test_all_rows_are_of_one_moment(database: Database, reading: type[Reading]) -> None:
    """What others commit while the rows are read is not seen: the report adds up."""
    database.execute("CREATE TABLE t AS SELECT i AS id, 0 AS v FROM generate_series(1, 5000) AS i")
    touched: list[int] = []

    def disturb(_: Reading) -> None:
        if not touched:
            touched.append(1)
            database.execute("UPDATE t SET v = 1")
            database.execute("INSERT INTO t VALUES (6000, 1)")

    done = reading(batch=100, on_emit=disturb).run(SqlQuerySource("TABLE t", key="id", dsn=database.dsn))
    assert touched
    assert done.values == [{"id": i, "v": 0} for i in range(1, 5001)]


def test_a_query_that_writes_is_refused_and_writes_nothing(
    database: Database, reading: type[Reading]
) -> None:
    database.execute("CREATE SEQUENCE s")
    with pytest.raises(
        SourceError, match="cannot execute nextval\\(\\) in a read-only transaction"
    ) as caught:
        reading().run(SqlQuerySource("SELECT nextval('s') AS id", dsn=database.dsn))
    assert not caught.value.retryable
    assert database.execute("SELECT is_called FROM s") == [(False,)]


def test_the_planner_says_about_how_many_rows_there_are(database: Database, reading: type[Reading]) -> None:
    database.execute("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 10000) AS i")
    database.execute("ANALYZE t")
    done = reading(limit=10).run(SqlQuerySource("SELECT id FROM t", key="id", dsn=database.dsn))
    assert done.estimate == pytest.approx(10_000, rel=0.05)


def test_the_dsn_comes_from_the_environment(
    database: Database, reading: type[Reading], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`PIPELINE_DSN` before `DATABASE_URL`, which other programs set too."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nowhere")
    monkeypatch.setenv("PIPELINE_DSN", database.dsn)
    assert reading().run(SqlQuerySource("SELECT 1 AS id", key="id")).values == [{"id": 1}]
    monkeypatch.delenv("PIPELINE_DSN")
    monkeypatch.setenv("DATABASE_URL", database.dsn)
    assert reading().run(SqlQuerySource("SELECT 1 AS id", key="id")).values == [{"id": 1}]


def test_the_connection_is_called_after_the_job(database: Database, reading: type[Reading]) -> None:
    sql = "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    done = reading().run(SqlQuerySource(sql, dsn=database.dsn, rows="tuple"))
    assert done.values == [("pipeline test",)]


def test_a_wide_table_and_odd_names(database: Database, reading: type[Reading]) -> None:
    names = [f"c {number} \"%'" for number in range(300)]
    quoted = ", ".join('{} AS "{}"'.format(n, name.replace('"', '""')) for n, name in enumerate(names))
    source = SqlQuerySource(f"SELECT {quoted}", key=names[7], dsn=database.dsn)
    first = reading().run(source)
    assert first.values == [{name: number for number, name in enumerate(names)}]
    assert reading().run(source, first.state).values == []


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1,\n FORM t", r'column "form" does not exist at line 2 of the query: FORM t'),
        ("SELECT * FORM t", r'syntax error at or near "FORM" at line 1 of the query'),
        ("SELECT * FROM nope", r'relation "nope" does not exist at line 1 of the query: SELECT \* FROM nope'),
        ("SELECT 'open", r"unterminated quoted string"),
        ("SELECT (1", r"syntax error"),
    ],
)
@pytest.mark.parametrize("key", [None, "id"])
def test_wrong_sql_is_reported_with_its_place(
    sql: str, message: str, key: str | None, database: Database, reading: type[Reading]
) -> None:
    """With PostgreSQL's own words and the line of the user's query; never retried."""
    with pytest.raises(SourceError, match=message) as caught:
        reading().run(SqlQuerySource(sql, key=key, dsn=database.dsn))
    assert not caught.value.retryable
    assert caught.value.hint


def test_a_key_of_no_use_is_refused_before_the_first_row(database: Database, reading: type[Reading]) -> None:
    done = reading()
    with pytest.raises(ConfigError, match="'ident' is not in the query's result — its columns are id"):
        done.run(SqlQuerySource("SELECT 1 AS id", key="ident", dsn=database.dsn))
    with pytest.raises(ConfigError, match="'id' is of type json"):
        done.run(SqlQuerySource("SELECT '{}'::json AS id", key="id", dsn=database.dsn))
    assert done.values == []


def test_a_collation_that_calls_different_texts_equal_is_refused(
    database: Database, reading: type[Reading]
) -> None:
    """Found through a join, a subquery and a function."""
    database.execute("CREATE COLLATION nocase (locale = 'C')")
    # What a server with ICU would say of one that ignores case.
    database.execute("UPDATE pg_collation SET collisdeterministic = false WHERE oid = 'nocase'::regcollation")
    database.execute("CREATE TABLE t (id text COLLATE nocase, plain text)")
    query = "SELECT a.id, b.plain FROM (SELECT * FROM t) AS a JOIN t AS b ON a.id = b.id"
    for key in ("id", "lower(id)", "plain || id"):
        computed = SqlQuerySource(f"SELECT {key} AS k FROM ({query}) AS found", key="k", dsn=database.dsn)
        with pytest.raises(ConfigError, match=r"treats different texts as equal.*COLLATE"):
            reading().run(computed)
    assert reading().run(SqlQuerySource(query, key="plain", dsn=database.dsn)).values == []


def test_a_value_that_cannot_be_computed_names_itself(database: Database, reading: type[Reading]) -> None:
    sql = "SELECT i AS id, 1 / (5 - i) AS x FROM generate_series(1, 9) AS i"
    with pytest.raises(SourceError, match="division by zero, while reading the query") as caught:
        reading().run(SqlQuerySource(sql, dsn=database.dsn))
    assert not caught.value.retryable


def test_a_value_that_python_has_not_says_what_to_do(database: Database, reading: type[Reading]) -> None:
    with pytest.raises(SourceError, match=r"too large.*cast it in the query") as caught:
        reading().run(SqlQuerySource("SELECT 'infinity'::timestamp AS t", dsn=database.dsn))
    assert not caught.value.retryable


def test_missing_parameters_are_told(database: Database, reading: type[Reading]) -> None:
    with pytest.raises(SourceError, match=r"1 placeholders but 0 parameters.*correct the query or its"):
        reading().run(SqlQuerySource("SELECT %s AS id", key="id", dsn=database.dsn, parameters=()))
