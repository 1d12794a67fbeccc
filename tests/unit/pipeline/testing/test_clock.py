"""ManualClock: time does not advance until a test moves it, and waiting threads notice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from pipeline.testing.clock import ManualClock

MS = timedelta(milliseconds=1)
PATIENCE_S = 30.0
"""Reached only if something that must end by itself does not."""


class Sleeper:
    """A thread that waits until a clock shows its time, as a timed wait in production does."""

    def __init__(
        self, clock: ManualClock, until_ms: int, condition: threading.Condition | None = None
    ) -> None:
        self._clock = clock
        self._until_ms = until_ms
        self._condition = condition or threading.Condition()
        self.looks: list[int] = []
        self.thread = threading.Thread(target=self._run, name="sleeper", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with self._condition:
            while (left := self._until_ms - self._clock.monotonic_ms()) > 0:
                self.looks.append(left)
                self._clock.wait(self._condition, left)

    def awake(self) -> bool:
        self.thread.join(PATIENCE_S)
        return not self.thread.is_alive()


@pytest.fixture
def clock() -> Iterator[ManualClock]:
    clock = ManualClock(start_ms=1_000)
    yield clock
    clock.advance(timedelta(days=1))  # nobody is left waiting


def test_time_does_not_advance(clock: ManualClock) -> None:
    assert [(clock.now_ms(), clock.monotonic_ms()) for _ in range(3)] == [(1_000, 0)] * 3


def test_both_clocks_move_together(clock: ManualClock) -> None:
    clock.advance(timedelta(seconds=2))
    assert (clock.now_ms(), clock.monotonic_ms()) == (3_000, 2_000)


def test_parts_of_a_millisecond_add_up(clock: ManualClock) -> None:
    for expected in (0, 0, 1, 1):
        clock.advance(timedelta(microseconds=400))
        assert clock.monotonic_ms() == expected


def test_who_waits_wakes_at_its_time_and_not_before(clock: ManualClock) -> None:
    """Each step is noticed: `await_waiters` behind `advance` waits until the woken one waits again."""
    sleeper = Sleeper(clock, until_ms=10)
    for _ in range(9):
        clock.await_waiters()
        clock.advance(MS)
    clock.await_waiters()
    assert sleeper.looks == list(range(10, 0, -1))
    clock.advance(MS)
    assert sleeper.awake()


def test_all_that_wait_are_woken(clock: ManualClock) -> None:
    """On one condition or on several."""
    shared = threading.Condition()
    sleepers = [Sleeper(clock, 5, shared), Sleeper(clock, 5, shared), Sleeper(clock, 5)]
    clock.await_waiters(3)
    clock.advance(5 * MS)
    assert all(sleeper.awake() for sleeper in sleepers)


@pytest.mark.parametrize("timeout_ms", [0, -5])
def test_a_limit_that_has_passed_is_not_waited_for(clock: ManualClock, timeout_ms: int) -> None:
    """Nobody would ever wake it."""
    condition = threading.Condition()
    with condition:
        clock.wait(condition, timeout_ms)


@pytest.mark.parametrize("timeout_ms", [None, 5])
def test_a_notification_ends_a_wait_at_once(clock: ManualClock, timeout_ms: int | None) -> None:
    """Whether there is a limit or not; and who has left is not counted among those who wait."""
    condition = threading.Condition()
    entered = threading.Event()

    def wait() -> None:
        with condition:
            entered.set()
            clock.wait(condition, timeout_ms)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    entered.wait(PATIENCE_S)
    with condition:  # held by the thread from `entered` until it waits
        condition.notify_all()
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()
    assert not clock._timed
