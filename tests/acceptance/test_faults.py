"""What goes wrong around a job: the database, the disk, the query, a function. Each says what to do."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

QUERY = "SELECT n AS id, n % 7 AS kind, 'row ' || n AS name FROM generate_series(1, 4000) AS n"
WIDE_QUERY = QUERY.replace("AS name", "AS name, repeat(md5(n::text), 400) AS padding")
"""50 MB, more than buffers on the way hold: the server is still sending when a test disturbs it."""


@pytest.fixture
def expected(workshop: Callable[..., Any], postgres: str) -> dict[str, bytes]:
    shop = workshop("query", PIPELINE_DSN=postgres, QUERY=QUERY, KEY="id")
    shop.complete()
    return shop.outputs()


def has_a_checkpoint(shop: Any) -> bool:
    return any((shop.folder / ".pipeline" / "checkpoints" / "query" / "manifests").glob("*.json"))


def test_the_server_restarts_in_mid_query(
    workshop: Callable[..., Any], crashable_postgres: Any, expected: dict[str, bytes]
) -> None:
    """`pg_ctl -m immediate`: the job restarts by itself from its last checkpoint."""
    dsn = crashable_postgres.database.dsn
    shop = workshop("query", PIPELINE_DSN=dsn, QUERY=WIDE_QUERY, KEY="id")
    running = shop.stand_still_at("P14")
    crashable_postgres.restart_immediate()
    running.send_signal(signal.SIGCONT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert "restarting" in err
    assert shop.outputs() == expected
    assert shop.leftovers() == []


def test_a_connection_is_cut(
    workshop: Callable[..., Any], proxy: Any, database: Any, through_proxy: Any, expected: dict[str, bytes]
) -> None:
    shop = workshop("query", PIPELINE_DSN=through_proxy(database), QUERY=WIDE_QUERY, KEY="id")
    running = shop.stand_still_at("P14")
    proxy.reset()
    running.send_signal(signal.SIGCONT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert "restarting" in err
    assert shop.outputs() == expected


def test_the_disk_is_full(workshop: Callable[..., Any], postgres: str, expected: dict[str, bytes]) -> None:
    """A file-size limit: a clear error, and the next run, with room, continues without loss."""
    shop = workshop("query", PIPELINE_DSN=postgres, QUERY=QUERY, KEY="id", PIPELINE_RESTART="none")
    command, shop.program = shop.program, ("sh", "-c", 'ulimit -f 50 && exec "$@"', "limited", *shop.program)
    full = shop.run()
    shop.program = command
    assert full.returncode == 1
    assert "rows.csv" in full.stderr
    assert "too large" in full.stderr
    assert "a later run may succeed" in full.stderr
    shop.complete()
    assert shop.outputs() == expected
    assert shop.leftovers() == []


def test_a_folder_that_cannot_be_written(workshop: Callable[..., Any], postgres: str) -> None:
    """Refused before anything is read."""
    shop = workshop("query", PIPELINE_DSN=postgres, QUERY=QUERY, KEY="id", OUT="/proc/nowhere/rows.csv")
    refused = shop.run()
    assert refused.returncode == 1
    assert "/proc/nowhere" in refused.stderr
    assert "the same run would fail again" in refused.stderr


def test_sql_that_does_not_parse(workshop: Callable[..., Any], postgres: str) -> None:
    """PostgreSQL's message and the place, and no restart."""
    shop = workshop("query", PIPELINE_DSN=postgres, QUERY="SELECT id FROM WHERE", KEY="id")
    refused = shop.run()
    assert refused.returncode == 1
    assert 'syntax error at or near "WHERE"' in refused.stderr
    assert "correct the query" in refused.stderr
    assert "fault: config" in refused.stderr
    assert "restarting" not in refused.stderr
    assert "Traceback" not in refused.stderr
    assert shop.outputs() == {}


def test_a_query_without_a_key_is_one_epoch(
    workshop: Callable[..., Any], postgres: str, expected: dict[str, bytes]
) -> None:
    """It says so, takes no checkpoint before the end, and starts over after a kill."""
    shop = workshop("query", PIPELINE_DSN=postgres, QUERY=QUERY + " ORDER BY n")
    shop.die_at("P0:10")
    assert not has_a_checkpoint(shop)
    done = shop.complete()
    assert "starts afresh" in done.stderr
    assert "cannot be resumed" in done.stderr
    assert shop.outputs() == expected
    explained = subprocess.run(
        [*shop.command()[:1], "explain", *shop.command()[2:]],
        cwd=shop.folder,
        env=shop.variables(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "committed once, at the end" in explained.stdout


def test_a_function_that_raises(workshop: Callable[..., Any], postgres: str) -> None:
    """The error names the job, the operator, the function with file and line, and the record."""
    shop = workshop("query", PIPELINE_DSN=postgres, QUERY=QUERY, KEY="id", POISON="1234")
    failed = shop.run()
    assert failed.returncode == 1
    for fact in ("ValueError: row 1234 is poisoned", "job query", "map:pick", "query.py:", "query@1234"):
        assert fact in failed.stderr
    assert "restarting" not in failed.stderr
    shop.complete(POISON="-1")
    assert len(shop.outputs()["rows.csv"].splitlines()) == 4001


def test_a_server_that_is_not_there(workshop: Callable[..., Any]) -> None:
    """Retried as the strategy says, then a message that names what was tried."""
    shop = workshop(
        "query", PIPELINE_DSN="postgresql://127.0.0.1:1/none", QUERY=QUERY, KEY="id", PIPELINE_RESTART="none"
    )
    failed = shop.run()
    assert failed.returncode == 1
    assert "127.0.0.1" in failed.stderr
    assert "a later run may succeed" in failed.stderr
