"""psycopg's errors as ours: what happened, whether a retry can help, what the user can do."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import psycopg

from connectors.sql.chunks import UnloadableValue
from connectors.sql.statement import WRAPPER_LINES
from pipeline.core.errors import Fault, SourceError
from pipeline.core.raised import describe


class _Verdict(NamedTuple):
    retryable: bool
    hint: str | None = None
    fault: Fault = Fault.ENVIRONMENT


_LOST: Final = _Verdict(True, "the connection was lost: check the server and the network")


def _query(hint: str) -> _Verdict:
    return _Verdict(False, hint, Fault.CONFIG)


_QUERY: Final = _query("correct the query")
_BUSY: Final = _Verdict(True, "another transaction was in the way; it is tried again")

_BY_STATE: Final[dict[str, _Verdict]] = {
    "08": _LOST,
    "22": _Verdict(False, "a value cannot be computed or read: correct the query or the data", Fault.USER),
    "25": _query("the query is run in a read-only transaction: only SELECT, VALUES, TABLE or WITH"),
    "25P03": _Verdict(True, "raise idle_in_transaction_session_timeout: the sink was slower than it allows"),
    "28": _Verdict(False, "check user and password in the DSN"),
    "3D": _Verdict(False, "check the name of the database in the DSN"),
    "40": _BUSY,
    "42": _QUERY,
    "42501": _Verdict(False, "GRANT SELECT to the user of the DSN"),
    "42703": _query("correct the column's name in the query"),
    "42883": _query("correct the query; a key column needs a type that can be ordered"),
    "42P01": _query("check the table's name, the database in the DSN and the search_path"),
    "53": _Verdict(True, "the server is short of memory, disk or connections"),
    "53300": _Verdict(True, "too many connections: raise max_connections or run fewer jobs at once"),
    "55P03": _BUSY,
    "57014": _Verdict(True, "the query was cancelled: if by statement_timeout, raise it for this user"),
    "57P": _Verdict(True, "the server is shutting down or starting; it is tried again"),
    "57P04": _Verdict(False, "the database was dropped"),
    "58": _Verdict(True, "the server met an I/O error: see its log"),
    "XX": _Verdict(False, "PostgreSQL met an internal error: see its log"),
}
"""SQLSTATEs by their longest known beginning. Classes that are not here are not retried."""

_BY_CLASS: Final[Sequence[tuple[type[psycopg.Error], _Verdict]]] = (
    (psycopg.OperationalError, _LOST),
    (
        psycopg.DataError,
        _Verdict(False, "Python has no such value: cast it in the query, for example to text", Fault.USER),
    ),
    (psycopg.ProgrammingError, _query("correct the query or its parameters")),
)
"""Errors without a SQLSTATE are psycopg's own: the server did not speak."""

_UNKNOWN: Final = _Verdict(False)

_OF_POOLERS: Final[Sequence[tuple[str, _Verdict]]] = (
    (
        "not allowed in statement pooling mode",
        _query(
            "the pooler takes no transactions: use pool_mode = transaction, or connect to the server itself"
        ),
    ),
    (
        "unsupported startup parameter",
        _query(
            "the pooler passes no options= on: set them by ALTER ROLE … SET, or connect to the server itself"
        ),
    ),
    ("bouncer config error", _Verdict(False, "see the pooler's log; check user and database in the DSN")),
)
"""Words of PgBouncer, which has one SQLSTATE for all it refuses."""

_AT_CONNECT: Final[Sequence[tuple[str, _Verdict]]] = (
    *_OF_POOLERS,
    ("authentication failed", _BY_STATE["28"]),
    ("no password supplied", _BY_STATE["28"]),
    ("no pg_hba.conf entry", _Verdict(False, "the server's pg_hba.conf does not let this user in from here")),
    ("does not exist", _Verdict(False, "check user and database in the DSN")),
    ("permission denied for database", _Verdict(False, "GRANT CONNECT to the user of the DSN")),
    ("certificate", _Verdict(False, "check sslmode and the certificates that the DSN names")),
    ("too many clients", _BY_STATE["53300"]),
    ("connection slots", _BY_STATE["53300"]),
)
"""Words in the message of a refused connection, for which libpq returns no SQLSTATE."""

_REFUSED: Final = _Verdict(True, "the server was reached and refused, for the reason in its message")
_UNREACHED: Final = _Verdict(True, "check that the server runs and that host and port in the DSN are right")

_LINE: Final = re.compile(r"^\S+ (\d+): (.*)$", re.MULTILINE)
"""`LINE 2: SELECT * FORM t`, in whatever language libpq speaks."""


@contextmanager
def translated(doing: str) -> Generator[None]:
    """Raise psycopg's errors as `SourceError`, each with its cause.

    Args:
        doing: what was being done, to begin the message with: `while reading the query`.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _source_error(error, doing) from error


def _source_error(error: psycopg.Error, doing: str) -> SourceError:
    """Build the error for a failure on an open connection."""
    verdict = _verdict(error)
    return _built(f"{_message(error)}, {doing}", verdict)


def unreadable_value(value: UnloadableValue, row: str) -> SourceError:
    """Build the error for a value that Python cannot hold.

    Args:
        row: names its row.
    """
    column = '"' + value.column.replace('"', '""') + '"'
    reason, hint = _reason(value.reason), f"cast it in the query, for example to text: {column}::text"
    if isinstance(value.reason, UnicodeDecodeError):
        reason = f"it is not UTF-8: {value.reason.object!r}"
        hint = f"select its bytes and decode them in a map: convert_to({column}, 'SQL_ASCII')"
    message = f"column {value.column!r} of {row} cannot be read: {reason}"
    return _built(message, _Verdict(False, hint, Fault.USER))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) if isinstance(error, psycopg.Error) else describe(error)


def connect_error(error: psycopg.Error, server: str) -> SourceError:
    """Build the error for a connection that could not be made.

    Args:
        error: what psycopg raised; it never holds the password.
        server: user, host and database, for the message.
    """
    text = " ".join(str(error).split())
    otherwise = _REFUSED if "FATAL" in text else _UNREACHED
    verdict = next((verdict for words, verdict in _AT_CONNECT if words in text), otherwise)
    return _built(f"cannot connect to {server}: {text}", verdict)


def _built(message: str, verdict: _Verdict) -> SourceError:
    error = SourceError(message, retryable=verdict.retryable, hint=verdict.hint)
    error.fault = verdict.fault
    return error


def _verdict(error: psycopg.Error) -> _Verdict:
    state = error.sqlstate
    for words, verdict in _OF_POOLERS:
        if words in str(error):
            return verdict
    if state is None:
        return next((verdict for kind, verdict in _BY_CLASS if isinstance(error, kind)), _UNKNOWN)
    return next((_BY_STATE[state[:n]] for n in (5, 3, 2) if state[:n] in _BY_STATE), _UNKNOWN)


def _message(error: psycopg.Error) -> str:
    """Return PostgreSQL's message in one line, with the line of the user's query it points to."""
    primary = error.diag.message_primary
    if primary is None:
        return " ".join(str(error).split())
    detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
    pointed = _LINE.search(str(error)) if error.diag.statement_position else None
    if pointed is None:
        return f"{primary}{detail}"
    line = max(1, int(pointed[1]) - WRAPPER_LINES)
    return f"{primary}{detail} at line {line} of the query: {pointed[2].strip()}"
