"""SqlQuerySource: what is refused before a connection is made."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.sql import SqlQuerySource
from pipeline.core.errors import ConfigError, MissingExtra
from pipeline.core.job import JobMode

CONTEXT: Any = SimpleNamespace(job_name="report")


@pytest.fixture(autouse=True)
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPELINE_DSN", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)


def test_importing_it_does_not_import_psycopg() -> None:
    """A quarter of a second that a job without SQL does not pay."""
    program = "import sys, connectors.sql; sys.exit('psycopg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_missing_dsn_says_where_it_is_looked_for() -> None:
    with pytest.raises(ConfigError, match="expected dsn= or one of the variables PIPELINE_DSN, DATABASE_URL"):
        SqlQuerySource("SELECT 1").open(CONTEXT)


def test_a_missing_psycopg_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "connectors.sql.session", raising=False)
    monkeypatch.delitem(sys.modules, "connectors.sql.errors", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"psycopg is not installed.*pip install 'psycopg\[binary\]"):
        SqlQuerySource("SELECT 1", dsn="postgresql://localhost/x").open(CONTEXT)


def test_an_unreadable_dsn_is_refused_without_repeating_its_password() -> None:
    source = SqlQuerySource("SELECT 1", dsn="postgres//user:hunter2@localhost/x")
    with pytest.raises(ConfigError, match="the DSN cannot be read") as caught:
        source.open(CONTEXT)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sql": "SELECT 1; SELECT 2"}, "more than one statement"),
        ({"rows": "list"}, "rows must be one of dict, tuple, namedtuple, not 'list'"),
        ({"fetch_size": 0}, "fetch_size must be at least 1, not 0"),
        ({"key": ""}, "key must name a column"),
        ({"key": []}, "key must name a column"),
        ({"key": ["a", "a"]}, "key must name a column, or several different ones"),
        ({"parameters": "x"}, "parameters must be a sequence or a mapping of values, not 'x'"),
        ({"parameters": 5}, "parameters must be a sequence or a mapping of values, not 5"),
    ],
)
def test_wrong_arguments_are_refused_when_the_job_is_written(arguments: dict[str, Any], message: str) -> None:
    create: Any = SqlQuerySource
    with pytest.raises(ConfigError, match=message):
        create(**{"sql": "SELECT 1", **arguments})


def test_with_a_key_it_can_be_resumed() -> None:
    info = SqlQuerySource("SELECT 1", key=["day", "id"]).info
    assert (info.kind, info.target, info.mode) == ("sql", "day,id", JobMode.SQL_TASK)
    assert info.resumable
    assert info.guarantee is None


def test_without_a_key_it_says_what_that_means() -> None:
    info = SqlQuerySource("SELECT 1").info
    assert not info.resumable
    assert info.guarantee is not None
    assert "committed once, at the end" in info.guarantee


def test_cancel_and_close_before_open_do_nothing() -> None:
    source = SqlQuerySource("SELECT 1")
    source.cancel()
    source.close()
