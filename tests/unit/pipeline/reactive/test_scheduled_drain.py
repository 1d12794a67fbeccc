"""The two drain loops: every caller, at any moment, gets a turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from reactivex.scheduler import ImmediateScheduler, VirtualTimeScheduler

from pipeline.reactive.drain import Drain, ScheduledDrain

Make = Callable[[Callable[[], None]], Drain]


def immediate(turn: Callable[[], None]) -> Drain:
    return ScheduledDrain(turn, ImmediateScheduler(), lambda _: None)


class CalledAtTheLastMoment:
    """A lock at whose release a caller comes who finds it still held."""

    def __init__(self, lock: Any, call: Callable[[], None]) -> None:
        self._lock = lock
        self._calls = [call]

    def acquire(self, blocking: bool) -> bool:
        return self._lock.acquire(blocking=blocking)

    def release(self) -> None:
        if self._calls:
            self._calls.pop()()
        self._lock.release()


@pytest.mark.parametrize("make", [Drain, immediate])
def test_a_call_between_the_last_look_and_the_release_is_not_lost(make: Make) -> None:
    turns: list[int] = []
    drain = make(lambda: turns.append(1))
    drain._busy = CalledAtTheLastMoment(drain._busy, drain)  # pyright: ignore[reportAttributeAccessIssue]
    drain()
    assert len(turns) == 2


@pytest.mark.parametrize("make", [Drain, immediate])
def test_a_call_from_within_is_another_turn_and_no_recursion(make: Make) -> None:
    left, depth, deepest = 10_000, 0, 0

    def turn() -> None:
        nonlocal left, depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        if left:
            left -= 1
            drain()
        depth -= 1

    drain = make(turn)
    drain()
    assert (left, deepest) == (0, 1)


def test_the_scheduler_is_asked_once_for_any_number_of_calls() -> None:
    turns: list[int] = []
    scheduler = VirtualTimeScheduler()
    drain = ScheduledDrain(lambda: turns.append(1), scheduler, lambda _: None)
    for _ in range(3):
        drain()
    assert not turns
    scheduler.start()
    assert len(turns) == 1
    drain()
    scheduler.start()
    assert len(turns) == 2


def test_a_turn_that_raises_does_not_block_the_next() -> None:
    turns: list[int] = []

    def turn() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise RuntimeError("boom")

    drain = immediate(turn)
    with pytest.raises(RuntimeError):
        drain()
    drain()
    assert len(turns) == 2
