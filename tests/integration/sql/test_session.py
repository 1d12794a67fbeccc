"""Session: a connection of which all queries see one state of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.sql.session import Session
from connectors.sql.statement import Statement

if TYPE_CHECKING:
    from tests.conftest import Database


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
