"""One connection in one read-only snapshot of the database, and the ways to interrupt it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from itertools import islice
from threading import Lock
from typing import Any, Final

import psycopg
from psycopg import IsolationLevel, capabilities
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow, tuple_row

from connectors.sql.columns import Column
from connectors.sql.errors import connect_error, translated
from connectors.sql.rows import Row
from connectors.sql.statement import Query
from pipeline.core.errors import ConfigError, SourceError

_CONNECTION_DEFAULTS: Final = {
    "client_encoding": "utf8",
    # A host that does not answer cannot be interrupted: a cancel waits for it this long, in seconds.
    "connect_timeout": 5,
    # A peer that is gone is noticed after about a minute instead of two hours.
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

_CANCEL_TIMEOUT: Final = 1.0
"""Seconds the server has to take a request to cancel, before the connection is cut."""

_CHECKS_CONNECTION: Final = 140000
"""The first version of the server that can look whether its client is still there while it works."""

_CHECK_CONNECTION: Final = b"SET LOCAL client_connection_check_interval = '1s'"

_NAMES_COLLATIONS: Final = 130000
"""The first version of the server that can look a collation up by what `pg_collation_for` returns."""

_EXACT_FLOATS: Final = b"SET LOCAL extra_float_digits = 3"
"""A database or a user may have it lower; then text is rounded, and a key may stand behind its own row."""

_DESCRIBE_COLUMNS: Final = files("connectors.sql").joinpath("columns.sql").read_bytes()


class Session:
    """A connection of which all queries see one state of the database; nothing can be written.

    All methods but `cancel` are for the thread that opened it.

    Args:
        dsn: connection string or URI, as libpq understands it.
        application_name: how the connection is called in `pg_stat_activity`.
    """

    def __init__(self, dsn: str, application_name: str) -> None:
        self._conninfo, self._server = _conninfo(dsn, application_name)
        self._lock = Lock()  # so that a cancel never meets a connection that is being closed
        self._connection: psycopg.Connection[TupleRow] | None = None
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    @property
    def time_zone(self) -> str | None:
        """The zone in which timestamps come."""
        return self._open_connection().info.parameter_status("TimeZone")

    def connect(self) -> None:
        """Connect.

        Raises:
            SourceError: the server cannot be reached or refuses.
        """
        try:
            # Statements that the server keeps between two queries do not survive a connection pooler.
            connection = psycopg.connect(self._conninfo, row_factory=tuple_row, prepare_threshold=None)
        except psycopg.Error as error:
            raise connect_error(error, self._server) from error
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with self._lock:
            self._connection = connection
        self._have_the_server_notice()
        with translated("while preparing the connection"):
            connection.execute(_EXACT_FLOATS)

    def _have_the_server_notice(self) -> None:
        """Let a query end soon after its connection: a cancel that comes before it is read has no effect.

        For this transaction only, since a pooler may hand the connection on. Some platforms cannot.
        """
        connection = self._open_connection()
        if connection.info.server_version < _CHECKS_CONNECTION:
            return
        try:
            connection.execute(_CHECK_CONNECTION)
        except psycopg.Error:  # not on this platform; or the connection is gone, as its next use will tell
            with suppress(psycopg.Error):
                connection.rollback()

    def columns(self, query: Query) -> list[Column]:
        """Return the columns of a query, which proves it sound without running it.

        Raises:
            SourceError: it does not parse, or names what is not there.
        """
        with translated("while preparing the query"), self._open_connection().cursor() as cursor:
            cursor.execute(query.text.encode(), query.parameters)
            described = cursor.description or []
            types = [column.type_code for column in described]
            facts = cursor.execute(_DESCRIBE_COLUMNS, (types,)).fetchall()
        return [
            Column(column.name, name, column.display_size, is_enum)
            for column, (name, is_enum) in zip(described, facts, strict=True)
        ]

    def tells_texts_apart(self, collation: Query) -> bool:
        """Whether a collation, given the query that asks for it, calls only the same text equal."""
        if self._open_connection().info.server_version < _NAMES_COLLATIONS:
            return True
        found = self.first_row(collation)
        return found is None or found[0]

    def estimated_rows(self, plan: Query) -> int:
        """Return how many rows the planner expects, given the query that asks for its plan."""
        found = self.first_row(plan)
        assert found is not None
        return int(found[0][0]["Plan"]["Plan Rows"])

    def first_row(self, query: Query) -> Row | None:
        """Run a query that returns one row, or none."""
        with translated("while running the query"):
            return self._open_connection().execute(query.text.encode(), query.parameters).fetchone()

    def stream(self, query: Query, *, binary: bool, fetch_size: int) -> Iterator[Row]:
        """Return the rows of a query as they come, `fetch_size` of them in memory at a time.

        The server computes the next rows while these are being used, and waits when nobody takes them.
        """
        # Before version 17 libpq can hand on a result only row by row.
        size = fetch_size if capabilities.has_stream_chunked() else 1
        cursor = self._open_connection().cursor()
        return cursor.stream(query.text.encode(), query.parameters, binary=binary, size=size)

    def take(self, rows: Iterator[Row], count: int) -> list[Row]:
        """Take up to `count` rows from a stream; none at its end, and none after a cancel."""
        try:
            with translated("while reading the query"):
                return list(islice(rows, count))
        except SourceError:
            if self._cancelled:
                return []
            raise

    def cancel(self) -> None:
        """Interrupt whatever this session is doing; called from another thread, maybe more than once."""
        self._cancelled = True
        with self._lock:
            connection = self._connection
            if connection is None or connection.closed:
                return
            # First the query, so that the server does not go on with it for nobody. Then the socket:
            # a network that is down would never bring the server's answer.
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=_CANCEL_TIMEOUT)
            with (
                suppress(psycopg.Error, OSError),
                socket.socket(fileno=os.dup(connection.fileno())) as duplicate,
            ):
                duplicate.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, whatever state it is in."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()

    def _open_connection(self) -> psycopg.Connection[TupleRow]:
        if self._connection is None or self._cancelled:
            raise SourceError("the connection is closed, since the job was cancelled")
        return self._connection


def _conninfo(dsn: str, application_name: str) -> tuple[str, str]:
    """Return the DSN with our defaults under what it says itself, and how to call the server.

    Raises:
        ConfigError: libpq does not understand it; the message does not repeat it, for its password.
    """
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise ConfigError(
            "the DSN cannot be read",
            hint="expected postgresql://user:password@host:5432/database or host=… dbname=…",
        ) from None
    settings: dict[str, Any] = {**_CONNECTION_DEFAULTS, "application_name": application_name, **given}
    host, user = given.get("host", "the default host"), given.get("user", "the default user")
    name = given.get("dbname", given.get("user"))  # libpq's own rule
    database = "the default database" if name is None else f"database {name!r}"
    server = f"{database} on {host} as {user}"
    return make_conninfo("", **settings), server
