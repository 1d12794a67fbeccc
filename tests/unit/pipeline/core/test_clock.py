"""SystemClock: the units and the limits that everything which waits relies on."""

from __future__ import annotations

import threading
import time

import pytest

from pipeline.core.clock import SystemClock


def test_wall_time_is_in_milliseconds() -> None:
    before = time.time()
    now = SystemClock().now_ms()
    assert before * 1000 - 1 <= now <= time.time() * 1000 + 1


def test_monotonic_time_is_in_milliseconds() -> None:
    before = time.monotonic()
    now = SystemClock().monotonic_ms()
    assert before * 1000 - 1 <= now <= time.monotonic() * 1000 + 1


@pytest.mark.parametrize(("timeout_ms", "seconds"), [(None, None), (1500, 1.5), (0, 0), (-20, 0)])
def test_a_limit_is_passed_on_in_seconds(
    monkeypatch: pytest.MonkeyPatch, timeout_ms: int | None, seconds: float | None
) -> None:
    """None waits for ever; a limit that has passed already does not wait, nor raise."""
    condition = threading.Condition()
    asked: list[float | None] = []
    monkeypatch.setattr(condition, "wait", asked.append)
    SystemClock().wait(condition, timeout_ms)
    assert asked == [seconds]
