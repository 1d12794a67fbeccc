"""Waits: as long as the clock says, or until a cancel."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest

from pipeline.core.waits import Waits
from pipeline.testing import ManualClock

HOUR = timedelta(hours=1)
LONG_S = 30


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def result(wait: Future[bool]) -> bool:
    return wait.result(LONG_S)


def test_a_wait_is_over_when_its_time_has_passed_and_not_before(threads: ThreadPoolExecutor) -> None:
    clock = ManualClock()
    waits = Waits(clock)
    wait = threads.submit(waits.wait, timedelta(seconds=2))
    for passed in (timedelta(milliseconds=1_999), timedelta(milliseconds=1)):
        clock.await_waiters()
        assert not wait.done()
        clock.advance(passed)
    assert result(wait)
    assert clock.monotonic_ms() == 2_000


def test_a_cancel_ends_every_wait_now_and_later(threads: ThreadPoolExecutor) -> None:
    clock = ManualClock()
    waits = Waits(clock)
    both = [threads.submit(waits.wait, HOUR) for _ in range(2)]
    clock.await_waiters(2)
    waits.cancel()
    assert [result(wait) for wait in both] == [False, False]
    assert not waits.wait(HOUR)
    assert clock.monotonic_ms() == 0


def test_no_time_is_no_wait() -> None:
    waits = Waits(ManualClock())
    assert waits.wait(timedelta())
    waits.cancel()
    assert not waits.wait(timedelta())


def test_a_cancel_is_of_one_part_only(threads: ThreadPoolExecutor) -> None:
    clock = ManualClock()
    first, second = Waits(clock), Waits(clock)
    wait = threads.submit(first.wait, HOUR)
    clock.await_waiters()
    second.cancel()
    assert not wait.done()
    first.cancel()
    assert not result(wait)
