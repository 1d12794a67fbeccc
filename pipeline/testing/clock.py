"""A clock that a test moves by hand, so that no test has to wait."""

from __future__ import annotations

import threading
from datetime import timedelta


class ManualClock:
    """Implements `pipeline.core.clock.Clock`; time does not advance until `advance`.

    Args:
        start_ms: wall time at the beginning, milliseconds UTC; the monotonic clock begins at 0.

    Example:
        >>> clock = ManualClock(start_ms=1_000)
        >>> clock.advance(timedelta(seconds=2))
        >>> clock.now_ms(), clock.monotonic_ms()
        (3000, 2000)
    """

    def __init__(self, start_ms: int = 0) -> None:
        self._start_ms = start_ms
        self._elapsed_us = 0
        self._changed = threading.Condition()
        self._timed: dict[object, threading.Condition] = {}

    def now_ms(self) -> int:
        return self._start_ms + self.monotonic_ms()

    def monotonic_ms(self) -> int:
        return self._elapsed_us // 1000

    def wait(self, condition: threading.Condition, timeout_ms: int | None) -> None:
        """Wait on a held `condition` until it is notified or, if there is a limit, time has moved."""
        if timeout_ms is None:
            condition.wait()
            return
        if timeout_ms <= 0:
            return
        waiter = object()
        with self._changed:
            self._timed[waiter] = condition
            self._changed.notify_all()
        try:
            condition.wait()
        finally:
            with self._changed:
                self._timed.pop(waiter, None)

    def advance(self, by: timedelta) -> None:
        """Move both clocks and wake the threads that wait with a limit, to check whether it has passed.

        Must not be called while holding a condition that somebody waits on.
        """
        with self._changed:
            self._elapsed_us += by // timedelta(microseconds=1)
            timed, self._timed = self._timed, {}  # who is woken waits no longer until it waits again
        for condition in timed.values():
            with condition:
                condition.notify_all()

    def await_waiters(self, count: int = 1) -> None:
        """Return once `count` threads wait with a limit, so that the next `advance` reaches them."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._timed) >= count)
