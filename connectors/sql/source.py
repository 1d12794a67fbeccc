"""Read the result of a query from PostgreSQL, and continue by key where it stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, overload

from connectors.sql.columns import Column, binary_is_faithful, has_collation, key_columns, nondeterministic
from connectors.sql.position import Key, Position, check_keys, digest, key_getter, null_key
from connectors.sql.rows import Row, RowShape, Shaper, shaper
from connectors.sql.statement import KeyColumn, Parameters, Statement, bare
from pipeline.core.errors import ConfigError, MissingExtra
from pipeline.core.job import JobMode
from pipeline.core.records import OriginRange
from pipeline.spi.connector_config import ConnectorConfig, Secret
from pipeline.spi.source import JsonLike, Polled, PollingSource, SourceContext, SourceInfo

if TYPE_CHECKING:
    from connectors.sql.session import Session

T = TypeVar("T")

DSN_VARIABLES: Final = ("PIPELINE_DSN", "DATABASE_URL")
"""Where the connection string is looked for if the job does not give it, in this order."""

FETCH_SIZE: Final = 500
"""Rows: large enough that the cost of a round vanishes, small enough that wide rows fit into memory."""

_STARTS_OVER: Final = (
    "the query has no key=: it cannot be resumed, starts over after a failure, "
    "and its output is committed once, at the end"
)


class SqlQuerySource(PollingSource[T]):
    """The rows of one query, in constant memory, as one consistent snapshot of the database.

    With a key, rows are read in its order, whatever ORDER BY the query has, and a restarted job
    continues after the last one, in a new snapshot of the same database: rows inserted or changed
    up to that key meanwhile are not read. If rows share a key and the run ended between them, they
    are told apart by content; one of these that was changed meanwhile is read again.

    Args:
        sql: one SELECT, VALUES, TABLE or WITH.
        key: the column, or columns, of the *result* to resume by. Never NULL; of a type with an
            order such as integer, text, timestamp or uuid, but not interval; indexed, or every run
            sorts the result. Rows may share a key, up to 100,000 of them; a key that tells rows apart
            is safer.
        dsn: connection string or URI; default `PIPELINE_DSN`, then `DATABASE_URL`.
        parameters: values for psycopg's placeholders, `%s` or `%(name)s`; with it a literal `%` in
            the query is written `%%`.
        rows: what a record is: `dict`, `tuple` or `namedtuple`.
        fetch_size: rows fetched at once; use less for rows of megabytes, or for a slow query: a
            record is emitted when that many rows have arrived, and with a key also the next one.

    Raises:
        ConfigError: (here) the query is empty or more than one statement, or an argument is wrong;
            (at `open`) there is no DSN, or the key is not in the result or cannot be used.

    Example:
        SqlQuerySource("SELECT id, total FROM orders WHERE total > %s", key="id", parameters=[100])
    """

    @overload
    def __init__(
        self: SqlQuerySource[dict[str, Any]],
        sql: str,
        key: str | Sequence[str] | None = None,
        *,
        dsn: str | None = None,
        parameters: Parameters | None = None,
        rows: Literal["dict"] = "dict",
        fetch_size: int = FETCH_SIZE,
    ) -> None: ...
    @overload
    def __init__(
        self: SqlQuerySource[tuple[Any, ...]],
        sql: str,
        key: str | Sequence[str] | None = None,
        *,
        dsn: str | None = None,
        parameters: Parameters | None = None,
        rows: Literal["tuple"],
        fetch_size: int = FETCH_SIZE,
    ) -> None: ...
    @overload
    def __init__(
        self: SqlQuerySource[Any],
        sql: str,
        key: str | Sequence[str] | None = None,
        *,
        dsn: str | None = None,
        parameters: Parameters | None = None,
        rows: Literal["namedtuple"],
        fetch_size: int = FETCH_SIZE,
    ) -> None: ...
    def __init__(
        self,
        sql: str,
        key: str | Sequence[str] | None = None,
        *,
        dsn: str | None = None,
        parameters: Parameters | None = None,
        rows: str = "dict",
        fetch_size: int = FETCH_SIZE,
    ) -> None:
        self._sql = sql
        self._statement = Statement(bare(sql), _checked(parameters))
        self._key = _key_names(key)
        self._dsn = dsn
        self._shape = _row_shape(rows)
        if fetch_size < 1:
            raise ConfigError(f"fetch_size must be at least 1, not {fetch_size}")
        self._fetch_size = fetch_size
        self._session: Session | None = None
        self._estimate: int | None = None

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(
            kind="sql",
            target=",".join(self._key) or "query",
            mode=JobMode.SQL_TASK,
            resumable=bool(self._key),
            guarantee=None if self._key else _STARTS_OVER,
        )

    def to_config(self) -> ConnectorConfig:
        settings = {
            "sql": self._sql,
            "key": self._key or None,
            "dsn": None if self._dsn is None else Secret(self._dsn),  # it may have a password in it
            "parameters": self._statement.parameters,
            "rows": self._shape,
            "fetch_size": self._fetch_size,
        }
        return ConnectorConfig.of("sql", settings)

    def open(self, ctx: SourceContext[T]) -> None:
        dsn = _find_dsn(self._dsn)
        self._session = session = _new_session(dsn, f"pipeline {ctx.job_name}")
        session.connect()
        columns = session.columns(self._statement.no_rows())
        self._estimate = session.estimated_rows(self._statement.plan())
        self._reader = _Reader(session, self._statement, self._key, columns, self._fetch_size)
        self._names = [column.name for column in columns]
        self._shaper: Shaper = shaper(self._shape, self._names)
        self._identity = self._identify(columns, session)

    def record_fields(self) -> Sequence[str] | None:
        return self._names if len(set(self._names)) == len(self._names) else None  # tuples may repeat one

    def restore_state(self, state: JsonLike) -> None:
        super().restore_state(state)
        self.seek(state)  # refuses a position of another query while nothing is running yet

    def seek(self, position: JsonLike) -> None:
        if position is None:
            self._reader.start(Position())
        else:
            self._reader.start(Position.from_state(position, self._identity))

    def poll(self, demand: int) -> Polled[T] | None:
        first_row = self._reader.position.processed_rows + 1
        rows = self._reader.read(demand)
        if not rows:
            return None
        return Polled(
            self._shaper(rows),
            self._reader.position.to_state(self._identity),
            origins=OriginRange("query", first_row, len(rows)),
        )

    def estimated_records(self) -> int | None:
        return self._estimate

    def cancel(self) -> None:
        if self._session is not None:
            self._session.cancel()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    def _identify(self, columns: Sequence[Column], session: Session) -> dict[str, Any]:
        parameters = self._statement.parameters
        return {
            "sql": self._sql,
            "key": list(self._key),
            # A digest, since a parameter may be a secret.
            "parameters": None if parameters is None else digest((parameters,)),
            "columns": [[column.name, column.type] for column in columns],
            "time_zone": session.time_zone,
            "database": session.database()._asdict(),
        }


class _Reader:
    """Reads the rows of an open session from a position on, and moves the position with them."""

    def __init__(
        self,
        session: Session,
        statement: Statement,
        key: Sequence[str],
        columns: Sequence[Column],
        fetch_size: int,
    ) -> None:
        names = [column.name for column in columns]
        self._session = session
        self._statement = statement
        self._key: list[KeyColumn] = key_columns(key, columns)
        for column in filter(has_collation, self._key):
            if not session.tells_texts_apart(statement.collation(column)):
                raise nondeterministic(column)
        self._key_names = key
        self._key_indexes = [names.index(name) for name in key]
        self._key_of: Callable[[Row], Key] | None = key_getter(self._key_indexes) if key else None
        self._binary = binary_is_faithful(columns)
        self._fetch_size = fetch_size
        self._ahead: list[Row] = []
        self.position = Position()

    def start(self, position: Position) -> None:
        """Go to `position`; nothing is asked of the server before the first `read`."""
        self.position = position
        self._rows = self._query()

    def read(self, count: int) -> list[Row]:
        """Return up to `count` rows; none at the end of the result, and none after a cancel."""
        rows, following = self._take(min(count, self._fetch_size))
        if rows:
            if self._key:
                check_keys(rows, self._key_indexes, self._key_names, self.position.processed_rows + 1)
            self.position = self.position.advanced(rows, self._key_of, following)
        return rows

    def _take(self, count: int) -> tuple[list[Row], Row | None]:
        """Return up to `count` rows, and with a key the next one: it tells if the last key is complete."""
        if not self._key:
            return self._session.take(self._rows, count, self._name_row), None
        wanted = count + 1 - len(self._ahead)
        rows = self._ahead + self._session.take(self._rows, wanted, self._name_row)
        if self._session.cancelled:
            return [], None  # that no row follows says nothing then
        self._ahead = rows[count:]
        return rows[:count], rows[count] if self._ahead else None

    def _name_row(self, before: int, values: Mapping[str, Any]) -> str:
        number = self.position.processed_rows + len(self._ahead) + before + 1
        key = ", ".join(f"{name} = {values[name]}" for name in self._key_names if name in values)
        return f"row {number:,} ({key})" if key else f"row {number:,}"

    def _query(self) -> Iterator[Row]:
        last = self.position.last_key
        if self._key_of is None or last is None:
            query = self._statement.in_key_order(self._key) if self._key else self._statement.all_rows()
            return self._session.stream(query, binary=self._binary, fetch_size=self._fetch_size)
        return self._resumed(last, self._key_of)

    def _resumed(self, last: Key, key_of: Callable[[Row], Key]) -> Iterator[Row]:
        # The failed run may have ended on just such a row, and no comparison with a key finds it.
        if self._session.first_row(self._statement.null_keys(self._key)) is not None:
            raise null_key(f"the result has a row with NULL in {', '.join(self._key_names)}")
        position = self.position
        query = self._statement.from_key(self._key, last, inclusive=not position.key_complete)
        rows = self._session.stream(query, binary=self._binary, fetch_size=self._fetch_size)
        yield from rows if position.key_complete else position.remaining(rows, key_of)


def _new_session(dsn: str, application_name: str) -> Session:
    # psycopg takes a quarter of a second to import: only a job that reads SQL pays for it.
    try:
        from connectors.sql.session import Session
    except ImportError as error:
        raise MissingExtra("psycopg", "postgres") from error
    return Session(dsn, application_name)


def _find_dsn(given: str | None) -> str:
    for dsn in (given, *map(os.environ.get, DSN_VARIABLES)):
        if dsn:
            return dsn
    raise ConfigError(
        "no database: expected dsn= or one of the variables PIPELINE_DSN, DATABASE_URL",
        hint="set PIPELINE_DSN=postgresql://user:password@host:5432/database",
    )


def _key_names(key: str | Sequence[str] | None) -> tuple[str, ...]:
    names = (key,) if isinstance(key, str) else tuple(key or ())
    if (key is not None and not names) or not all(names) or len(set(names)) < len(names):
        raise ConfigError(f"key must name a column, or several different ones, not {key!r}")
    return names


def _checked(parameters: Parameters | None) -> Parameters | None:
    usable = isinstance(parameters, Sequence | Mapping | None)  # pyright: ignore[reportUnnecessaryIsInstance]
    if isinstance(parameters, str | bytes) or not usable:
        raise ConfigError(f"parameters must be a sequence or a mapping of values, not {parameters!r}")
    return parameters


def _row_shape(rows: str) -> RowShape:
    try:
        return RowShape(rows)
    except ValueError:
        known = ", ".join(RowShape)
        raise ConfigError(f"rows must be one of {known}, not {rows!r}") from None
