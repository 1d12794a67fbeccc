"""Waits that a cancel ends, by whichever thread they are waited."""

from __future__ import annotations

import threading
from datetime import timedelta

from pipeline.core.clock import Clock
from pipeline.core.durations import whole_ms


class Waits:
    """Waits of one part of a job, all of which one `cancel` ends.

    Args:
        clock: by which they pass.

    Attributes:
        clock: the same.

    Example:
        >>> waits = Waits(SystemClock())
        >>> waits.wait(timedelta(milliseconds=1))
        True
        >>> waits.cancel()
        >>> waits.wait(timedelta(days=1))
        False
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._condition = threading.Condition()
        self._cancelled = False

    def wait(self, timeout: timedelta) -> bool:
        """Wait until `timeout` has passed and return True, or return False at once after a cancel."""
        until = self.clock.monotonic_ms() + whole_ms(timeout)
        with self._condition:
            while not self._cancelled and (left := until - self.clock.monotonic_ms()) > 0:
                self.clock.wait(self._condition, left)
            return not self._cancelled

    def cancel(self) -> None:
        """End all waits, now and later; any thread."""
        with self._condition:
            self._cancelled = True
            self._condition.notify_all()
