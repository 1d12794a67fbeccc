"""One connection in one read-only snapshot of the database, and the ways to interrupt it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib.resources import files
from itertools import islice
from threading import Lock
from typing import Any, Final

import psycopg
from psycopg import IsolationLevel, capabilities
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import InvalidParameterValue, UndefinedObject
from psycopg.rows import TupleRow, tuple_row

from connectors.sql.chunks import ChunkCursor
from connectors.sql.columns import Column
from connectors.sql.errors import connect_error, translated, unreadable_value
from connectors.sql.identity import DatabaseName
from connectors.sql.loaders import register_loaders
from connectors.sql.rows import Row
from connectors.sql.statement import Query
from pipeline.core.errors import ConfigError, SourceError

_CONNECTION_DEFAULTS: Final = {
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

_SCRIPTS: Final = files("connectors.sql")
_DESCRIBE_COLUMNS: Final = _SCRIPTS.joinpath("columns.sql").read_bytes()
_NAME_DATABASE: Final = _SCRIPTS.joinpath("database.sql").read_text()
_TAKE_BYTES_AS_THEY_ARE: Final = b"SET LOCAL client_encoding = 'SQL_ASCII'"
"""For a database without an encoding: else the server refuses what is not UTF-8 without naming it."""

_SETTINGS: Final = _SCRIPTS.joinpath("settings.sql").read_bytes()
_NAME_SYSTEM: Final = "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"


NameRow = Callable[[int, Mapping[str, Any]], str]


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
        self._stream: ChunkCursor
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
        with translated("while preparing the connection"):
            self._have_the_server_notice()
            connection.execute(_SETTINGS)
            if connection.info.parameter_status("server_encoding") == "SQL_ASCII":
                connection.execute(_TAKE_BYTES_AS_THEY_ARE)
        register_loaders(connection)

    def _have_the_server_notice(self) -> None:
        """Let a query end soon after its connection: a cancel that comes before it is read has no effect.

        For this transaction only, since a pooler may hand the connection on. Some platforms cannot.
        """
        connection = self._open_connection()
        if connection.info.server_version < _CHECKS_CONNECTION:
            return
        try:
            connection.execute(_CHECK_CONNECTION)
        except (InvalidParameterValue, UndefinedObject):  # not on this platform, or not PostgreSQL itself
            connection.rollback()

    def database(self) -> DatabaseName:
        """Return which database this is."""
        found = self.first_row(Query(_NAME_DATABASE, ()))
        assert found is not None
        oid, name, schemas, system_is_readable = found
        system = self.first_row(Query(_NAME_SYSTEM, ())) if system_is_readable else None
        return DatabaseName(None if system is None else system[0], oid, name, schemas)

    def columns(self, query: Query) -> list[Column]:
        """Return the columns of a query, which proves it sound without running it.

        Raises:
            SourceError: it does not parse, or names what is not there.
        """
        with translated("while preparing the query"), self._open_connection().cursor() as cursor:
            cursor.execute(query.text.encode(), query.parameters)
            result = cursor.pgresult
            assert result is not None
            columns = range(result.nfields)
            names = [(result.fname(column) or b"").decode() for column in columns]
            # What PostgreSQL calls the modifier of a type is the length of a `character`, and 4.
            lengths = [modifier - 4 if modifier >= 4 else None for modifier in map(result.fmod, columns)]
            types = [result.ftype(column) for column in columns]
            facts = cursor.execute(_DESCRIBE_COLUMNS, (types,)).fetchall()
        return [
            Column(name, type_name, length, is_enum)
            for name, length, (type_name, is_enum) in zip(names, lengths, facts, strict=True)
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
        # Before version 17, libpq can return a result only row by row.
        size = fetch_size if capabilities.has_stream_chunked() else 1
        self._stream = ChunkCursor(self._open_connection())
        return self._stream.stream(query.text.encode(), query.parameters, binary=binary, size=size)

    def take(self, rows: Iterator[Row], count: int, name_row: NameRow) -> list[Row]:
        """Take up to `count` rows from the stream that was opened last; none at its end and after a cancel.

        Args:
            name_row: says which row it is, given how many were taken before it and its values by
                column, without those that cannot be loaded.

        Raises:
            SourceError: the server or the network failed, or Python cannot hold a value.
        """
        taken: list[Row] = []
        try:
            with translated("while reading the query"):
                taken.extend(islice(rows, count))  # keeps what it has, if this raises
        except Exception as error:
            if self._cancelled:
                return []
            value = self._stream.unloadable() if _may_be_a_value(error) else None
            if value is None:
                raise
            raise unreadable_value(value, name_row(len(taken), value.row)) from value.reason
        self._stream.forget()
        return taken

    def cancel(self) -> None:
        """Interrupt whatever this session is doing; called from another thread, maybe more than once."""
        self._cancelled = True
        with self._lock:
            connection = self._connection
            if connection is None or connection.closed:
                return
            # First the query, so that the server does not continue it in vain. Then the socket:
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


def _may_be_a_value(error: Exception) -> bool:
    """Whether an error can have come from loading a value: not from the server, nor from us."""
    cause = error.__cause__ if isinstance(error, SourceError) else error
    if isinstance(cause, psycopg.Error):
        return cause.sqlstate is None and not isinstance(cause, psycopg.OperationalError)
    return cause is not None


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
    settings: dict[str, Any] = {
        **_CONNECTION_DEFAULTS,
        "application_name": application_name,
        **given,
        "client_encoding": "utf8",  # whatever the DSN says: no other can hold every text
    }
    host, user = given.get("host", "the default host"), given.get("user", "the default user")
    name = given.get("dbname", given.get("user"))  # libpq's own rule
    database = "the default database" if name is None else f"database {name!r}"
    server = f"{database} on {host} as {user}"
    return make_conninfo("", **settings), server
