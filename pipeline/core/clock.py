"""Time as a dependency: production reads the system's clocks, tests move a clock by hand."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks and a wait; everything that waits with a limit waits through one of these."""

    def now_ms(self) -> int:
        """Wall time, milliseconds UTC: for what people and other machines read."""
        ...

    def monotonic_ms(self) -> int:
        """Milliseconds that never go back: for intervals and time limits."""
        ...

    def wait(self, condition: threading.Condition, timeout_ms: int | None) -> None:
        """Wait on a held `condition` until it is notified or `timeout_ms` have passed.

        May return early; the caller checks what it waits for.
        """
        ...


class SystemClock:
    """The clocks of the operating system."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def wait(self, condition: threading.Condition, timeout_ms: int | None) -> None:
        condition.wait(None if timeout_ms is None else max(0, timeout_ms) / 1000)
