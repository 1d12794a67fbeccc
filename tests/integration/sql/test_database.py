"""SqlQuerySource knows which database it reads: a job is not continued in another one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connectors.sql import SqlQuerySource
from pipeline.core.errors import SourceError

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.integration.sql.conftest import Reading

NUMBERS = "SELECT id, tenant FROM tenants"
CREATE = "CREATE TABLE tenants AS SELECT n AS id, '{}' AS tenant FROM generate_series(1, 20) n"


@contextmanager
def another(database: Database, tenant: str) -> Generator[Database]:
    """A second database of the same server, with a table of the same name."""
    name = f"{tenant}_{os.getpid()}"
    database.execute(f"CREATE DATABASE {name}")
    try:
        yield type(database)(make_conninfo(database.dsn, dbname=name, options=""))
    finally:
        database.execute(f"DROP DATABASE {name} WITH (FORCE)")


def read(reading: type[Reading], dsn: str, limit: int | None = None, state: Any = None) -> Reading:
    return reading(limit=limit).run(SqlQuerySource(NUMBERS, key="id", dsn=dsn, rows="tuple"), state)


def test_a_job_is_not_continued_in_another_database(database: Database, reading: type[Reading]) -> None:
    """The half of one tenant's rows and the other half of another's would be one report."""
    with ExitStack() as stack:
        a, b = (stack.enter_context(another(database, tenant)) for tenant in ("a", "b"))
        for tenant, one in (("a", a), ("b", b)):
            one.execute(CREATE.format(tenant))
        half = read(reading, a.dsn, limit=10)
        with pytest.raises(SourceError, match=r"it was 'a_\d+' .*, now it is 'b_\d+' .*--fresh") as raised:
            read(reading, b.dsn, state=half.state)
        assert not raised.value.retryable
        rest = read(reading, a.dsn, state=half.state)
        assert half.values + rest.values == [(n, "a") for n in range(1, 21)]


def test_a_job_is_not_continued_in_another_schema(database: Database, reading: type[Reading]) -> None:
    database.execute(CREATE.format("a"))
    half = read(reading, database.dsn, limit=10)
    options = conninfo_to_dict(database.dsn)["options"]
    elsewhere = make_conninfo(database.dsn, options=f"{options},pg_catalog")
    with pytest.raises(SourceError, match=r"the schemas .* changed .* now they are test_\w+, pg_catalog"):
        read(reading, elsewhere, state=half.state)


def test_a_database_that_was_recreated_is_another_one(database: Database, reading: type[Reading]) -> None:
    with another(database, "a") as a:
        a.execute(CREATE.format("a"))
        half = read(reading, a.dsn, limit=10)
    with another(database, "a") as a:
        a.execute(CREATE.format("a"))
        with pytest.raises(SourceError, match="is not the one the checkpoint was taken of"):
            read(reading, a.dsn, state=half.state)


@pytest.fixture
def without_rights(database: Database) -> Iterator[Callable[[], str]]:
    """Returns the DSN of a user that may read the table and nothing of the server."""
    role = f"plain_{os.getpid()}"
    schema = database.execute("SELECT current_schema")[0][0]
    database.execute(f"CREATE ROLE {role} LOGIN")
    database.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")

    def dsn() -> str:
        database.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        database.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")
        return make_conninfo(database.dsn, user=role)

    yield dsn
    database.execute("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
    database.execute(f"DROP OWNED BY {role}")
    database.execute(f"DROP ROLE {role}")


def test_a_user_without_rights_on_the_server_reads_and_continues(
    without_rights: Callable[[], str], database: Database, reading: type[Reading]
) -> None:
    """What may not be read is not compared: neither then nor later, when the user has become another."""
    database.execute(CREATE.format("a"))
    plain = without_rights()
    half = read(reading, plain, limit=10)
    assert json.loads(half.state)["database"]["system"] is None
    for dsn in (plain, database.dsn):
        assert half.values + read(reading, dsn, state=half.state).values == [(n, "a") for n in range(1, 21)]
