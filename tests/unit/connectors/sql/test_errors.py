"""Errors: whether a retry can help, and what the user can do, for each failure of PostgreSQL."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from connectors.sql.errors import connect_error, translated
from connectors.sql.session import Session
from pipeline.core.errors import Fault, SourceError


def translate(error: psycopg.Error) -> SourceError:
    with pytest.raises(SourceError) as caught, translated("while reading the query"):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly"),
        errors.AdminShutdown("terminating connection due to administrator command"),
        errors.CrashShutdown("terminating connection because of crash of another server process"),
        errors.CannotConnectNow("the database system is starting up"),
        errors.DeadlockDetected("deadlock detected"),
        errors.SerializationFailure("could not serialize access"),
        errors.TooManyConnections("too many connections"),
        errors.OutOfMemory("out of memory"),
        errors.QueryCanceled("canceling statement due to statement timeout"),
        errors.IdleInTransactionSessionTimeout("terminating connection due to idle-in-transaction timeout"),
        errors.ConnectionFailure("connection failure"),
    ],
)
def test_what_passes_by_itself_is_retried(error: psycopg.Error) -> None:
    translated_error = translate(error)
    assert translated_error.retryable
    assert translated_error.hint


@pytest.mark.parametrize(
    "error",
    [
        errors.SyntaxError("syntax error"),
        errors.UndefinedTable("no table"),
        errors.UndefinedColumn("no column"),
        errors.InsufficientPrivilege("permission denied for table secrets"),
        errors.DivisionByZero("division by zero"),
        errors.ReadOnlySqlTransaction("cannot execute INSERT in a read-only transaction"),
        errors.DatabaseDropped("gone"),
        errors.DataCorrupted("invalid page"),
        psycopg.DataError("timestamp too large (after year 10K): 'infinity'"),
        psycopg.ProgrammingError("the query has 1 placeholders but 0 parameters were passed"),
    ],
)
def test_what_stays_wrong_is_not_retried(error: psycopg.Error) -> None:
    translated_error = translate(error)
    assert not translated_error.retryable
    assert translated_error.hint


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (errors.SyntaxError("syntax error"), Fault.CONFIG),
        (errors.UndefinedColumn("no such column"), Fault.CONFIG),
        (errors.DivisionByZero("division by zero"), Fault.USER),
        (errors.InsufficientPrivilege("permission denied"), Fault.ENVIRONMENT),
        (errors.AdminShutdown("terminating connection"), Fault.ENVIRONMENT),
        (psycopg.DataError("timestamp too large (after year 10K): 'infinity'"), Fault.USER),
        (psycopg.ProgrammingError("the query has 1 placeholders but 0 parameters were passed"), Fault.CONFIG),
    ],
)
def test_whose_fault_it_is(error: psycopg.Error, fault: Fault) -> None:
    """A query that is wrong is not the server's fault."""
    assert translate(error).fault is fault


def test_an_unknown_state_is_not_retried() -> None:
    assert not translate(errors.RaiseException("a function of the user's said no")).retryable


@pytest.mark.parametrize(
    ("message", "retryable"),
    [
        ('FATAL:  password authentication failed for user "me"', False),
        ("fe_sendauth: no password supplied", False),
        ('FATAL:  database "nope" does not exist', False),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', False),
        ('FATAL:  permission denied for database "x"', False),
        ("SSL error: certificate verify failed", False),
        ("FATAL:  unsupported startup parameter: options", False),
        ("FATAL:  unsupported startup parameter in options: search_path", False),
        ("FATAL:  bouncer config error", False),
        ("FATAL:  query_wait_timeout", True),
        ("FATAL:  sorry, too many clients already", True),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", True),
        ("Connection refused", True),
        ("connection timeout expired", True),
        ("FATAL:  the database system is starting up", True),
        ("failed to resolve host 'db': [Errno -3] Temporary failure in name resolution", True),
    ],
)
def test_a_refused_connection_is_reported_by_its_words(message: str, retryable: bool) -> None:
    error = connect_error(
        psycopg.OperationalError(f"connection failed: {message}\n"), "database 'x' on db as me"
    )
    assert error.retryable is retryable
    assert str(error).startswith("cannot connect to database 'x' on db as me: connection failed:")
    assert error.hint


def test_what_a_pooler_refuses_is_not_a_lost_connection() -> None:
    """PgBouncer has one SQLSTATE, that of a protocol violation, for whatever it does not do."""
    refused = translate(errors.ProtocolViolation("transaction blocks not allowed in statement pooling mode"))
    assert (refused.retryable, refused.fault) == (False, Fault.CONFIG)
    assert "pool_mode" in str(refused)
    assert "lost" not in str(refused)


def test_a_server_that_refuses_is_not_one_that_cannot_be_reached() -> None:
    error = connect_error(psycopg.OperationalError("FATAL:  query_wait_timeout"), "database 'x' on db as me")
    assert "check that the server runs" not in str(error)


def test_a_database_that_the_dsn_does_not_name_is_not_given_a_name() -> None:
    """`the default user` is not a database; with a user libpq takes the one of that name."""
    nobody_listens = "postgresql://{}127.0.0.1:1"
    with pytest.raises(SourceError, match=r"to the default database on .* as the default user"):
        Session(nobody_listens.format(""), "test").connect()
    with pytest.raises(SourceError, match=r"to database 'me' on .* as me"):
        Session(nobody_listens.format("me@"), "test").connect()
