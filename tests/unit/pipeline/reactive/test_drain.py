"""Drain: one turn at a time, no call lost, no recursion."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from pipeline.reactive.drain import Drain
from tests.racing import race


def test_a_call_from_within_is_another_turn_not_a_deeper_one() -> None:
    depth, deepest, turns = 0, 0, 0

    def turn() -> None:
        nonlocal depth, deepest, turns
        depth += 1
        deepest = max(deepest, depth)
        turns += 1
        if turns < 1_000_000:
            drain()
        depth -= 1

    drain = Drain(turn)
    drain()
    assert (turns, deepest) == (1_000_000, 1)


def test_a_call_from_another_thread_meanwhile_is_another_turn_of_the_first() -> None:
    entered, called = threading.Event(), threading.Event()
    ran_in: list[str] = []

    def turn() -> None:
        ran_in.append(threading.current_thread().name)
        if len(ran_in) == 1:
            entered.set()
            assert called.wait(10)

    drain = Drain(turn)
    first = threading.Thread(target=drain, name="first")
    first.start()
    assert entered.wait(10)
    drain()
    called.set()
    first.join(10)
    assert ran_in == ["first", "first"]


def test_no_call_is_lost_and_turns_never_overlap() -> None:
    """Each call is followed by a turn that begins after it: all that was added is seen."""
    added, seen, inside = [0, 0, 0], 0, 0
    overlaps = 0

    def turn() -> None:
        nonlocal seen, inside, overlaps
        inside += 1
        overlaps += inside > 1
        seen = sum(added)
        inside -= 1

    drain = Drain(turn)

    def work(index: int) -> None:
        for _ in range(3_000):
            added[index] += 1
            drain()

    race(*(partial(work, index) for index in range(3)))
    assert (seen, overlaps) == (9_000, 0)


def test_one_that_raises_leaves_it_free_for_the_next_call() -> None:
    turns: list[int] = []

    def turn() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise OSError("broken")

    drain = Drain(turn)
    with pytest.raises(OSError, match="broken"):
        drain()
    drain()
    assert len(turns) == 2
