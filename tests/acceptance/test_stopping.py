"""Ctrl-C and SIGTERM: a last checkpoint, a commit, and out; a second one leaves at once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from .numbers_job import expected, manifests, write_input
from .waiting import wait_for

COUNT = 400
UNFORCED_S = 25
"""After 30 s a stop is forced; the aim is 5, which a machine with other work may not reach."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_continues_where_it_stopped(number: int, workshop: Callable[..., Any]) -> None:
    """It leaves with a last checkpoint, unforced; the next run reads on from the very next record."""
    shop = workshop("numbers")
    write_input(shop.folder, COUNT)
    running = shop.start("--set", "checkpoint_rows=off", "--set", "checkpoint_interval=1h")
    wait_for((shop.folder / "entered").exists, "the first record")
    running.send_signal(number)
    _, err = running.communicate(timeout=UNFORCED_S)
    assert running.returncode == 130, err
    assert "CANCELLED" in err
    assert len(manifests(shop.folder)) == 1
    assert shop.outputs() == {}
    shop.complete()
    assert shop.outputs() == expected(COUNT)
    assert shop.leftovers() == []


def test_the_second_signal_leaves_at_once(workshop: Callable[..., Any]) -> None:
    """Even while a function blocks and no checkpoint can be taken."""
    shop = workshop("numbers", PACE="2")
    write_input(shop.folder, COUNT)
    running = shop.start()
    wait_for((shop.folder / "entered").exists, "the first record")
    running.send_signal(signal.SIGINT)
    for line in running.stderr:  # a second signal before the first is handled would be one with it
        if "again to leave at once" in line:
            break
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=UNFORCED_S)
    assert running.returncode == 130, err
    shop.complete(PACE="0")
    assert shop.outputs() == expected(COUNT)


def test_a_signal_that_does_not_disturb_the_main_thread_stops_the_job(workshop: Callable[..., Any]) -> None:
    """As one does not that comes just before that thread waits for the next event, here in an hour."""
    running = workshop("signalled_elsewhere").start()
    _, err = running.communicate(timeout=UNFORCED_S)
    assert running.returncode == 130, err
    assert "SIGTERM: taking a last checkpoint" in err


def test_a_signal_at_the_very_end_does_not_spoil_the_exit_status(workshop: Callable[..., Any]) -> None:
    """The job is complete, and its status says so, though the signal comes before the process is gone."""
    workshop("signalled_late").complete()


def test_a_reader_that_has_had_enough_is_not_a_failure_to_report(workshop: Callable[..., Any]) -> None:
    """As in `pipeline run job.py | head -1`: the status of a command nobody reads, and not a word."""
    running = workshop("printed").start("--quiet")
    assert running.stdout.readline() == "0\n"
    running.stdout.close()
    assert running.stderr.read() == ""
    assert running.wait(timeout=30) == 141
