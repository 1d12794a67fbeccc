"""Look at a run several times a second, from outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

EVERY_S: Final = 0.1


@dataclass
class Sample:
    """A run at one moment.

    Args:
        at: seconds since its start.
        rss: resident memory in MB.
        demand: records a second asked of the source; None where everything is.
    """

    at: float
    offered: int
    delivered: int
    dropped: int
    buffered: int
    rss: float
    demand: float | None = None


def resident_mb() -> float:
    """The memory that this process holds now."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096 / 2**20


class Observer:
    """Takes a sample at even intervals in a thread of its own, and calls `done` when the time is over.

    Args:
        look: makes a sample of a moment.
        seconds: how long to look.
        done: ends the run.
    """

    def __init__(self, look: Callable[[float], Sample], seconds: float, done: Callable[[], None]) -> None:
        self.samples: list[Sample] = []
        self._look = look
        self._seconds = seconds
        self._done = done
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> list[dict[str, Any]]:
        """End it, also before its time, and return what it saw."""
        self._over.set()
        self._thread.join()
        return [asdict(sample) for sample in self.samples]

    def _run(self) -> None:
        started = time.monotonic()
        while not self._over.is_set() and (at := time.monotonic() - started) < self._seconds:
            self.samples.append(self._look(at))
            self._over.wait(EVERY_S)
        self._done()
