"""SqlQuerySource and a server or a network that fails: what is retried, and that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.conninfo import make_conninfo

from connectors.sql import SqlQuerySource
from pipeline.core.errors import SourceError

if TYPE_CHECKING:
    from tests.conftest import CrashablePostgres, Database
    from tests.integration.sql.conftest import Reading
    from tests.tcp_proxy import TcpProxy

ROWS = 20_000
TIES = "SELECT i / 7 AS k, 'row ' || i AS text FROM generate_series(1, 20000) AS i"
EXPECTED = sorted((i // 7, f"row {i}") for i in range(1, ROWS + 1))


def finish(source: SqlQuerySource[tuple[Any, ...]], reading: type[Reading], first: Reading) -> list[Any]:
    """Run the source to its end from where `first` stopped; return the rows of both."""
    return first.values + reading().run(source, first.state).values


@pytest.mark.parametrize("sent", [0, 900, 5_000, 70_000, 250_000])
def test_a_connection_reset_anywhere_is_retryable_and_loses_nothing(
    sent: int,
    database: Database,
    proxy: TcpProxy,
    through_proxy: Callable[[Database], str],
    reading: type[Reading],
) -> None:
    """Cut after a number of bytes: while connecting, preparing, early and late in the result; with ties."""
    source = SqlQuerySource(TIES, key="k", dsn=through_proxy(database), rows="tuple", fetch_size=100)
    proxy.cut_after(sent)
    first = reading(batch=64)
    with pytest.raises(SourceError) as caught:
        first.run(source)
    assert caught.value.retryable
    assert caught.value.hint
    assert len(first.values) < ROWS
    proxy.heal()
    assert sorted(finish(source, reading, first)) == EXPECTED


def test_a_connection_reset_between_two_pages_is_noticed_at_the_next(
    database: Database,
    proxy: TcpProxy,
    through_proxy: Callable[[Database], str],
    reading: type[Reading],
) -> None:
    """RST in mid-query, not in mid-message: nothing marks the end but the missing rest."""
    wide = f"SELECT k, text, repeat('x', 2000) AS filler FROM ({TIES}) AS t"
    source = SqlQuerySource(wide, key="k", dsn=through_proxy(database), rows="tuple", fetch_size=10)
    first = reading(batch=10, on_emit=lambda run: proxy.reset() if len(run.values) == 100 else None)
    with pytest.raises(SourceError) as caught:
        first.run(source)
    assert caught.value.retryable
    assert [row[:2] for row in sorted(finish(source, reading, first))] == EXPECTED


def test_a_slow_network_changes_nothing(
    database: Database,
    proxy: TcpProxy,
    through_proxy: Callable[[Database], str],
    reading: type[Reading],
) -> None:
    proxy.slow_down(0.01)
    source = SqlQuerySource(TIES, key="k", dsn=through_proxy(database), rows="tuple")
    assert sorted(reading().run(source).values) == EXPECTED


def test_a_terminated_backend_is_retryable(database: Database, reading: type[Reading]) -> None:
    """As by an administrator, or by a fast shutdown of the server."""
    sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = %s"
    wide = f"SELECT k, text, repeat('x', 2000) AS filler FROM ({TIES}) AS t"
    source = SqlQuerySource(wide, key="k", dsn=database.dsn, rows="tuple", fetch_size=10)

    def terminate(run: Reading) -> None:
        if len(run.values) == 50:
            database.execute(sql, ["pipeline test"])

    first = reading(batch=10, on_emit=terminate)
    with pytest.raises(
        SourceError, match=r"terminating connection due to administrator command|lost"
    ) as caught:
        first.run(source)
    assert caught.value.retryable
    assert [row[:2] for row in sorted(finish(source, reading, first))] == EXPECTED


def test_a_server_crash_in_mid_query_is_retryable_and_loses_nothing(
    crashable_postgres: CrashablePostgres, reading: type[Reading]
) -> None:
    """`pg_ctl -m immediate`, recovery from the log, a second run."""
    wide = f"SELECT k, text, repeat('x', 2000) AS filler FROM ({TIES}) AS t"
    dsn = crashable_postgres.database.dsn
    source = SqlQuerySource(wide, key="k", dsn=dsn, rows="tuple", fetch_size=10)

    def crash(run: Reading) -> None:
        if len(run.values) == 200:
            crashable_postgres.restart_immediate()

    first = reading(batch=10, on_emit=crash)
    with pytest.raises(SourceError) as caught:
        first.run(source)
    assert caught.value.retryable
    assert 200 <= len(first.values) < ROWS
    assert [row[:2] for row in sorted(finish(source, reading, first))] == EXPECTED


def test_a_server_that_is_not_there_is_retryable(reading: type[Reading]) -> None:
    source = SqlQuerySource("SELECT 1", dsn="postgresql://me:secret@127.0.0.1:1/db")
    with pytest.raises(SourceError, match=r"cannot connect to database 'db' on 127\.0\.0\.1 as me") as caught:
        reading().run(source)
    assert caught.value.retryable
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dbname": "nope"}, 'database "nope" does not exist'),
        ({"user": "nobody"}, 'role "nobody" does not exist'),
    ],
)
def test_a_wrong_name_in_the_dsn_is_not_retried(
    change: dict[str, str], message: str, database: Database, reading: type[Reading]
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        reading().run(SqlQuerySource("SELECT 1", dsn=make_conninfo(database.dsn, **change)))
    assert not caught.value.retryable


def test_a_wrong_password_is_not_retried(
    crashable_postgres: CrashablePostgres, reading: type[Reading]
) -> None:
    """Tried on a server that asks for one."""
    database = crashable_postgres.database
    database.execute("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    rules = crashable_postgres.folder / "pg_hba.conf"
    open_rules = rules.read_text()
    rules.write_text("local all guarded scram-sha-256\n" + open_rules)
    database.execute("SELECT pg_reload_conf()")
    try:
        source = SqlQuerySource("SELECT 1", dsn=make_conninfo(database.dsn, user="guarded", password="wrong"))
        with pytest.raises(SourceError, match='password authentication failed for user "guarded"') as caught:
            reading().run(source)
        assert not caught.value.retryable
        assert "wrong" not in str(caught.value)
        right = make_conninfo(database.dsn, user="guarded", password="right")
        assert reading().run(SqlQuerySource("SELECT 1 AS id", dsn=right)).values == [{"id": 1}]
    finally:
        rules.write_text(open_rules)
        database.execute("SELECT pg_reload_conf()")
        database.execute("DROP ROLE guarded")


def test_a_table_without_permission_names_the_remedy(database: Database, reading: type[Reading]) -> None:
    database.execute("CREATE TABLE secrets (id integer)")
    database.execute("CREATE ROLE visitor LOGIN")
    try:
        schema = database.execute("SELECT current_schema()")[0][0]
        database.execute(f"GRANT USAGE ON SCHEMA {schema} TO visitor")
        source = SqlQuerySource("TABLE secrets", dsn=make_conninfo(database.dsn, user="visitor"))
        with pytest.raises(SourceError, match=r"permission denied for table secrets.*GRANT SELECT") as caught:
            reading().run(source)
        assert not caught.value.retryable
    finally:
        database.execute("DROP OWNED BY visitor")
        database.execute("DROP ROLE visitor")


def test_a_statement_timeout_is_told_apart_from_a_cancel(database: Database, reading: type[Reading]) -> None:
    options = "-c statement_timeout=50"
    source = SqlQuerySource("SELECT pg_sleep(30)", dsn=make_conninfo(database.dsn, options=options))
    with pytest.raises(SourceError, match=r"canceling statement due to statement timeout.*raise it"):
        reading().run(source)


def test_closing_after_an_error_does_not_hide_it(database: Database, reading: type[Reading]) -> None:
    """The first error is the one the user sees, with PostgreSQL's own as its cause."""
    with pytest.raises(SourceError, match="division by zero") as caught:
        reading().run(SqlQuerySource("SELECT 1 / i AS x FROM generate_series(-9, 9) AS i", dsn=database.dsn))
    assert type(caught.value.__cause__).__name__ == "DivisionByZero"
