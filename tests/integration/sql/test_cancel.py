"""SqlQuerySource interrupted from another thread: it returns soon and leaves nothing open."""

from __future__ import annotations

import copy
import gc
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from connectors.sql import SqlQuerySource
from pipeline.core.errors import SourceError

if TYPE_CHECKING:
    from tests.conftest import Database
    from tests.integration.sql.conftest import Reading
    from tests.tcp_proxy import TcpProxy

SOON = 20.0
"""Seconds; less than the minute for which the queries run, and enough for a machine with other work."""


class Running:
    """A source that runs in a thread until it is cancelled."""

    def __init__(self, source: SqlQuerySource[Any], reading: Reading) -> None:
        self.reading = reading
        self.error: Exception | None = None
        self.opened = Event()
        self._source = copy.copy(source)
        self._thread = Thread(target=self._run, name="source")
        self._thread.start()

    def cancel(self) -> float:
        """Cancel as the engine does; return how many seconds the source took to end."""
        started = time.monotonic()
        self.reading.cancelled = True
        self._source.cancel()
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()
        return time.monotonic() - started

    def _run(self) -> None:
        try:
            self._source.open(self.reading)
            self.opened.set()
            self._source.run(self.reading)
        except Exception as error:
            self.error = error
        finally:
            self.opened.set()
            self._source.close()


@pytest.fixture
def active(database: Database) -> Iterator[Callable[[str], None]]:
    """Waits until the source's backend waits for something of a kind, by asking the server."""
    with psycopg.connect(database.dsn, autocommit=True) as watcher:

        def wait(kind: str) -> None:
            deadline = time.monotonic() + SOON
            while time.monotonic() < deadline:
                found = watcher.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE application_name = 'pipeline test'"
                    " AND state = 'active' AND wait_event_type = %s",
                    [kind],
                ).fetchone()
                if found:
                    return
            pytest.fail(f"the source's backend never waited for {kind}")

        yield wait


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


def backends(database: Database) -> int:
    """How many backends serve sources; asked again until those that are ending have ended."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pipeline test'"
    deadline = time.monotonic() + SOON
    while (found := database.execute(sql)[0][0]) and time.monotonic() < deadline:
        pass
    return found


def test_a_query_that_computes_is_interrupted_at_the_server(
    database: Database, reading: type[Reading], active: Callable[[str], None]
) -> None:
    """The backend goes too: nobody waits for what it would have found."""
    running = Running(SqlQuerySource("SELECT pg_sleep(60)", dsn=database.dsn), reading())
    active("Timeout")
    assert running.cancel() < SOON
    assert running.error is None
    assert running.reading.values == []
    assert backends(database) == 0


def test_a_query_that_waits_for_a_lock_is_interrupted(
    database: Database, reading: type[Reading], active: Callable[[str], None]
) -> None:
    """Already while it is prepared: that takes a lock too."""
    database.execute("CREATE TABLE t (id integer)")
    with psycopg.connect(database.dsn) as other:
        other.execute("LOCK TABLE t")
        running = Running(SqlQuerySource("TABLE t", key="id", dsn=database.dsn), reading())
        active("Lock")
        assert running.cancel() < SOON
        assert isinstance(running.error, SourceError)
        assert backends(database) == 0


def test_a_stream_that_nobody_takes_is_interrupted(
    database: Database, reading: type[Reading], active: Callable[[str], None]
) -> None:
    """The sink is slow, the server waits to send: closing ends both."""
    sql = "SELECT i AS id, repeat('x', 1000) AS x FROM generate_series(1, 10000000) AS i"
    stalled, hold = Event(), Event()

    def stall(_: Reading) -> None:
        stalled.set()
        hold.wait(60)

    running = Running(SqlQuerySource(sql, dsn=database.dsn), reading(batch=10, on_emit=stall))
    assert stalled.wait(SOON)
    active("Client")
    release = Thread(target=hold.set, name="release")
    release.start()
    assert running.cancel() < SOON
    release.join()
    assert running.error is None
    assert backends(database) == 0


def test_a_silent_network_does_not_hold_a_cancel(
    database: Database,
    proxy: TcpProxy,
    through_proxy: Callable[[Database], str],
    reading: type[Reading],
    active: Callable[[str], None],
) -> None:
    """No answer comes, not even to the request to cancel: the socket is cut."""
    running = Running(SqlQuerySource("SELECT pg_sleep(60)", dsn=through_proxy(database)), reading())
    active("Timeout")
    proxy.blackhole()
    assert running.cancel() < SOON
    assert running.error is None
    # The server has not heard of it and sleeps on.
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pipeline test'"
    )


def test_a_host_that_does_not_answer_is_given_up(
    database: Database, proxy: TcpProxy, through_proxy: Callable[[Database], str], reading: type[Reading]
) -> None:
    """A connect cannot be interrupted, so it is bounded; the DSN may say otherwise."""
    proxy.blackhole()
    running = Running(
        SqlQuerySource("SELECT 1", dsn=through_proxy(database) + " connect_timeout=6"), reading()
    )
    assert running.cancel() > 5.5, "by default it is given up after 5 s"
    assert isinstance(running.error, SourceError)


def test_cancelled_at_random_moments_nothing_is_left(database: Database, reading: type[Reading]) -> None:
    """No thread, no file, no backend; and what was emitted is the beginning of the result."""
    sql = "SELECT i AS id FROM generate_series(1, 100000) AS i"
    source = SqlQuerySource(sql, key="id", dsn=database.dsn, rows="tuple", fetch_size=5)
    chance = random.Random(7)
    Running(source, reading()).cancel()
    files = open_files()
    for _ in range(25):
        enough = Event()
        wanted = chance.randrange(60)
        run = reading(
            batch=7, on_emit=lambda run, n=wanted, e=enough: e.set() if len(run.values) >= n else None
        )
        running = Running(source, run)
        if wanted:
            assert enough.wait(SOON)
        assert running.cancel() < SOON
        assert [row[0] for row in run.values] == list(range(1, len(run.values) + 1))
    assert backends(database) == 0
    assert open_files() <= files, "what an earlier test left may have ended meanwhile"


def test_cancel_may_come_twice_and_after_the_end(database: Database, reading: type[Reading]) -> None:
    running = Running(SqlQuerySource("SELECT 1 AS id", dsn=database.dsn), reading())
    assert running.opened.wait(SOON)
    assert running.cancel() < SOON
    assert running.cancel() < SOON
