"""Worker: one thread, owned and joined, as a scheduler."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from reactivex.internal.exceptions import DisposedException

from pipeline.reactive import Worker, hooks

LONG = 30.0


def test_work_runs_in_order_in_the_named_thread_which_then_ends() -> None:
    ran: list[Any] = []
    done = threading.Event()
    with Worker("prices") as scheduler:
        for number in range(3):
            scheduler.schedule(lambda _, state: ran.append((state, threading.current_thread().name)), number)
        scheduler.schedule(lambda _, __: done.set())
        assert done.wait(LONG)
    assert ran == [(number, "prices") for number in range(3)]
    assert "prices" not in {thread.name for thread in threading.enumerate()}


def test_later_work_runs_by_its_time() -> None:
    ran: list[str] = []
    done = threading.Event()
    with Worker("prices") as scheduler:
        scheduler.schedule_relative(timedelta(milliseconds=20), lambda _, __: ran.append("later"))
        scheduler.schedule_relative(timedelta(milliseconds=30), lambda _, __: done.set())
        scheduler.schedule_relative(timedelta(milliseconds=-1), lambda _, __: ran.append("past"))
        scheduler.schedule_relative(timedelta(milliseconds=10), lambda _, __: ran.append("soon"))
        assert done.wait(LONG)
    assert ran == ["past", "soon", "later"]


def test_what_is_disposed_of_does_not_run() -> None:
    ran: list[int] = []
    done = threading.Event()
    with Worker("prices") as scheduler:
        scheduler.schedule_relative(0.01, lambda _, __: ran.append(1)).dispose()
        scheduler.schedule_relative(0.02, lambda _, __: done.set())
        assert done.wait(LONG)
    assert not ran


def test_after_the_block_work_is_refused_and_what_waits_is_not_run() -> None:
    ran: list[int] = []
    with Worker("prices") as scheduler:
        scheduler.schedule_relative(timedelta(hours=1), lambda _, __: ran.append(1))
    with pytest.raises(DisposedException):
        scheduler.schedule(lambda _, __: ran.append(2))
    assert not ran


def test_work_that_raises_is_reported_and_the_next_runs() -> None:
    errors: list[Exception] = []
    done = threading.Event()

    def failing(_: Any, __: Any) -> None:
        raise RuntimeError("boom")

    with hooks.listening(hooks.Hooks(dropped_error=errors.append)), Worker("prices") as scheduler:
        scheduler.schedule(failing)
        scheduler.schedule(lambda _, __: done.set())
        assert done.wait(LONG)
    assert [str(error) for error in errors] == ["boom"]
