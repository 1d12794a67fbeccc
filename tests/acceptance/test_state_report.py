"""A job that hangs is asked how it is: `kill -USR1`, and it answers by itself before a stop is forced."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from .numbers_job import write_input
from .waiting import wait_for

COUNT = 4
LONG_S = 30


@pytest.fixture
def held(workshop: Callable[..., Any]) -> Any:
    shop = workshop("held")
    write_input(shop.folder, COUNT)
    os.mkfifo(shop.folder / "gate")
    return shop


def test_a_job_reports_on_sigusr1_and_runs_on(held: Any) -> None:
    """Where each thread is, the user's function by name; then it completes as if nobody had asked."""
    running = held.start()
    wait_for((held.folder / "entered").exists, "the held record")
    running.send_signal(signal.SIGUSR1)
    lines = []
    for line in running.stderr:
        lines.append(line)
        if "hold_the_second (held.py:" in line:
            break
    report = "".join(lines)
    assert "held: RUNNING" in report
    assert "0 checkpoints completed" in report
    assert "[held/file:in.csv]: reading, demand " in report
    assert "emitted 2" in report
    assert "MainThread: " in report
    (held.folder / "gate").write_bytes(b"")  # lets it pass
    _, err = running.communicate(timeout=LONG_S)
    assert running.returncode == 0, err
    assert "held: COMPLETED" in err


def test_a_stop_that_is_forced_says_first_what_held_it(held: Any) -> None:
    running = held.start("--set", "cancel_timeout=1s")
    wait_for((held.folder / "entered").exists, "the held record")
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=LONG_S)
    assert running.returncode == 130, err
    report, forced, _ = err.partition("no last checkpoint within 1 s")
    assert forced, err
    assert "checkpoint 1 (STOP) under way for 1.0 s, no answer yet from " in report
    assert "hold_the_second (held.py:" in report
