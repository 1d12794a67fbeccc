"""SqlQuerySource on a real server: stopped anywhere and run again, each row comes once."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from connectors.sql import SqlQuerySource
from pipeline.core.errors import SourceError

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.integration.sql.conftest import Reading


@pytest.mark.parametrize("seed", range(12))
def test_stopped_at_random_places_each_row_comes_once(
    seed: int, database: Database, reading: type[Reading]
) -> None:
    """Random tables with ties and rows all alike, a key of one or two columns, many restarts."""
    chance = random.Random(seed)
    rows = [
        (chance.randrange(8), chance.choice("abc"), chance.randrange(3))
        for _ in range(chance.randrange(1, 80))
    ]
    database.execute("CREATE TABLE t (a integer, b text, c integer)")
    for row in rows:
        database.execute("INSERT INTO t VALUES (%s, %s, %s)", row)
    key = chance.choice(["a", "b", ("a", "b"), ("b", "c", "a")])
    source = SqlQuerySource("SELECT * FROM t", key=key, dsn=database.dsn, rows="tuple", fetch_size=3)
    emitted: list[Any] = []
    state = None
    while len(emitted) < len(rows):
        run = reading(limit=chance.randrange(1, 20), batch=chance.randrange(1, 6)).run(source, state)
        assert run.values, f"seed {seed}: no progress after {emitted[-1:]}"
        emitted += run.values
        state = run.state
    assert sorted(emitted) == sorted(rows), f"seed {seed}, key {key}"
    assert reading().run(source, state).values == []


def test_rows_added_after_the_last_key_are_read_too(database: Database, reading: type[Reading]) -> None:
    """The resumed run sees the database as it is then; what was inserted at or before the key is passed."""
    database.execute("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 10) AS i")
    source = SqlQuerySource("TABLE t", key="id", dsn=database.dsn, rows="tuple")
    first = reading(limit=5).run(source)
    database.execute("INSERT INTO t VALUES (4), (5), (11)")
    rest = reading().run(source, first.state).values
    assert rest == [(6,), (7,), (8,), (9,), (10,), (11,)]


UNIQUE = ["SELECT n AS id, clock_timestamp() AS v FROM generate_series(1, 40) n", "TABLE t"]


@pytest.mark.parametrize("fetch_size", [1, 3, 500])
@pytest.mark.parametrize("sql", UNIQUE)
def test_a_unique_key_is_read_once_whatever_becomes_of_its_row(
    sql: str, fetch_size: int, database: Database, reading: type[Reading]
) -> None:
    """A value that differs each time, an UPDATE between two runs: stopped after any row, none comes twice."""
    database.execute("CREATE TABLE t AS SELECT n AS id, 0 AS v FROM generate_series(1, 40) n")
    source = SqlQuerySource(sql, key="id", dsn=database.dsn, rows="tuple", fetch_size=fetch_size)
    for stop in range(1, 41, 3):
        first = reading(limit=stop, batch=4).run(source)
        database.execute("UPDATE t SET v = v + 1")
        second = reading(batch=4).run(source, first.state)
        assert [row[0] for row in first.values + second.values] == list(range(1, 41))


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5, 6])
def test_an_update_among_rows_that_share_a_key_shows_only_in_their_midst(
    stop: int, database: Database, reading: type[Reading]
) -> None:
    """Stopped at the end of such rows, each comes once; in between, a changed one is taken for another."""
    database.execute(
        "CREATE TABLE t AS SELECT n / 3 AS day, n AS id, 'new' AS v FROM generate_series(0, 5) n"
    )
    sql = "SELECT day, id, v FROM t ORDER BY id"
    source = SqlQuerySource(sql, key="day", dsn=database.dsn, rows="tuple")
    first = reading(limit=stop, batch=1).run(source)
    database.execute("UPDATE t SET v = 'paid'")
    second = reading(batch=1).run(source, first.state)
    emitted = sorted(row[1] for row in first.values + second.values)
    repeated = [] if stop in (3, 6) else [row[1] for row in first.values if row[0] == first.values[-1][0]]
    assert emitted == sorted([*range(6), *repeated])
    precise = SqlQuerySource(sql, key=("day", "id"), dsn=database.dsn, rows="tuple")
    first = reading(limit=stop, batch=1).run(precise)
    database.execute("UPDATE t SET v = 'sent'")
    second = reading(batch=1).run(precise, first.state)
    assert [row[1] for row in first.values + second.values] == list(range(6))


def test_the_position_before_the_first_row_is_the_beginning(
    database: Database, reading: type[Reading]
) -> None:
    source = SqlQuerySource("SELECT 1 AS id", key="id", dsn=database.dsn, rows="tuple")
    nothing = reading(limit=0).run(source)
    assert (nothing.values, nothing.state) == ([], None)


def test_a_resumed_run_that_emits_nothing_keeps_its_position(
    database: Database, reading: type[Reading]
) -> None:
    source = SqlQuerySource("SELECT i AS id FROM generate_series(1, 9) AS i", key="id", dsn=database.dsn)
    first = reading(limit=4).run(source)
    again = reading(limit=0).run(source, first.state)
    assert json.loads(again.state) == json.loads(first.state)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_null_key_fails_the_job_and_is_never_skipped(
    resumed: bool, database: Database, reading: type[Reading]
) -> None:
    """NULL sorts last and no comparison finds it: a resumed run looks for it before it reads."""
    database.execute("CREATE TABLE t AS SELECT i AS id FROM generate_series(1, 20) AS i")
    database.execute("INSERT INTO t VALUES (NULL)")
    source = SqlQuerySource("TABLE t", key="id", dsn=database.dsn)
    state = reading(limit=20, batch=20).run(source).state if resumed else None
    message = "NULL in id" if resumed else "row 21 has id = NULL"
    with pytest.raises(SourceError, match=message) as caught:
        reading(batch=20).run(source, state)
    assert not caught.value.retryable


@pytest.mark.parametrize("null", ["NULL, 9", "9, NULL"])
def test_a_null_in_one_column_of_a_key_is_never_skipped(
    null: str, database: Database, reading: type[Reading]
) -> None:
    """A row comparison with it is NULL, whatever the other column is: the resumed run must look for it."""
    database.execute("CREATE TABLE t AS SELECT i AS a, i AS b FROM generate_series(1, 8) AS i")
    database.execute(f"INSERT INTO t VALUES ({null})")
    source = SqlQuerySource("TABLE t", key=("a", "b"), dsn=database.dsn, rows="tuple")
    first = reading(limit=8, batch=4).run(source)
    assert first.values == [(i, i) for i in range(1, 9)]
    with pytest.raises(SourceError, match="NULL in a, b") as caught:
        reading().run(source, first.state)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("ALTER TABLE t ADD COLUMN b text", "the columns of the query's result changed since the checkpoint"),
        ("ALTER TABLE t ALTER COLUMN a TYPE text", "the columns of the query's result changed"),
        ("ALTER TABLE t RENAME COLUMN a TO b", "the columns of the query's result changed"),
        ("ALTER TABLE t DROP COLUMN a", "the columns of the query's result changed"),
        ("DROP TABLE t", 'relation "t" does not exist'),
    ],
)
def test_a_table_that_changed_between_two_runs_is_never_misread(
    change: str, message: str, database: Database, reading: type[Reading]
) -> None:
    database.execute("CREATE TABLE t AS SELECT i AS id, i AS a FROM generate_series(1, 20) AS i")
    source = SqlQuerySource("TABLE t", key="id", dsn=database.dsn)
    first = reading(limit=10).run(source)
    database.execute(change)
    with pytest.raises(SourceError, match=message) as caught:
        reading().run(source, first.state)
    assert not caught.value.retryable


def test_changed_parameters_are_another_query(database: Database, reading: type[Reading]) -> None:
    """And the checkpoint does not hold them: a parameter may be a secret."""
    sql = "SELECT i AS id FROM generate_series(1, %s) AS i"
    first = reading(limit=5).run(SqlQuerySource(sql, key="id", dsn=database.dsn, parameters=[90210]))
    assert "90210" not in first.state
    with pytest.raises(SourceError, match="a parameter of the query changed"):
        reading().run(SqlQuerySource(sql, key="id", dsn=database.dsn, parameters=[20]), first.state)


def test_more_rows_than_a_position_can_tell_apart_are_refused(
    database: Database, reading: type[Reading]
) -> None:
    sql = "SELECT 1 AS id, i FROM generate_series(1, 102000) AS i"
    with pytest.raises(SourceError, match="more than 100,000 rows share the key 1"):
        reading().run(SqlQuerySource(sql, key="id", dsn=database.dsn, rows="tuple"))


def test_another_query_is_refused_before_anything_runs(database: Database, reading: type[Reading]) -> None:
    """On restore, while no record has moved: a sink has nothing to undo."""
    state = json.loads(
        reading(limit=1).run(SqlQuerySource("SELECT 1 AS id", key="id", dsn=database.dsn)).state
    )
    source = SqlQuerySource("SELECT 2 AS id", key="id", dsn=database.dsn)
    try:
        source.open(reading())
        with pytest.raises(SourceError, match="the text of the query changed since the checkpoint"):
            source.restore_state(state)
    finally:
        source.close()
