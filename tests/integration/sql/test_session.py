"""Session: a connection of which all queries see one state of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from connectors.sql.session import Session
from connectors.sql.statement import Query, Statement

if TYPE_CHECKING:
    from tests.conftest import Database


def test_a_server_that_ends_the_connection_is_heard_at_once(database: Database) -> None:
    """Not taken for one that lacks a setting, after which the next use knows only that it is closed."""
    session = Session(database.dsn, "pipeline ends")
    try:
        session.connect()
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pipeline ends'"
        )
        with pytest.raises(psycopg.errors.AdminShutdown):
            session._have_the_server_notice()
    finally:
        session.close()


def test_all_queries_of_a_session_see_one_moment(database: Database) -> None:
    """A resumed source looks for NULL keys first: what comes in after that must not be read either."""
    database.execute("CREATE TABLE t (id integer)")
    query = Statement("SELECT count(*) FROM t").all_rows()
    session = Session(database.dsn, "pipeline test")
    try:
        session.connect()
        assert session.first_row(query) == (0,)
        database.execute("INSERT INTO t VALUES (NULL)")
        assert session.first_row(query) == (0,)
    finally:
        session.close()


def test_all_queries_of_a_session_see_one_state(database: Database) -> None:
    """What is looked for before the rows, such as NULL in a key, is looked for among these rows."""
    database.execute("CREATE TABLE t AS SELECT 1 AS id")
    session = Session(database.dsn, "test")
    session.connect()
    try:
        count = Query("SELECT count(*) FROM t", ())
        assert session.first_row(count) == (1,)
        database.execute("INSERT INTO t VALUES (2)")
        assert session.first_row(count) == (1,)
    finally:
        session.close()
