"""What is played: how fast records are offered, how fast they are taken, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pipeline.core.config import BackpressureStrategy

STRATEGIES: Final = tuple(strategy.value for strategy in BackpressureStrategy)
CONTRAST: Final = "reactivex"
"""Plain reactivex with its own hand-over between threads: it has no demand, so it keeps what is not taken."""

BUFFER_SIZE: Final = 500
"""Records that a buffer may hold: half a second of the source, five seconds of the sink."""


@dataclass(frozen=True)
class Scenario:
    """A source and a sink that do not fit.

    Args:
        name: in tables and file names.
        says: one line for people.
        source: records a second, on average.
        sink: records a second while it takes any.
        burst: records that come at once; 1 for an even stream.
        stall: from and to when the sink takes nothing, as shares of the time.
        overload: whether the buffer must overflow, so that strategies can be told apart.
    """

    name: str
    says: str
    source: float
    sink: float
    burst: int = 1
    stall: tuple[float, float] | None = None
    overload: bool = True

    def due(self, elapsed: float) -> int:
        """Say how many records have been offered after `elapsed` seconds."""
        return int(elapsed * self.source / self.burst) * self.burst + self.burst

    def next_due(self, offered: int) -> float:
        """Say after how many seconds there will be more than `offered`."""
        return (offered // self.burst) * self.burst / self.source

    def stalled_until(self, elapsed: float, seconds: float) -> float | None:
        """Say until when the sink takes nothing, None if it takes something now."""
        if self.stall is None:
            return None
        start, end = (share * seconds for share in self.stall)
        return end if start <= elapsed < end else None


MEMORY: Final = Scenario("10x", "source 1,000/s, sink 100/s", 1000, 100)
"""The one that is played for a minute, with checkpoints, since memory must stay where it is."""

SHORT: Final = (
    Scenario("100x", "source 10,000/s, sink 100/s", 10_000, 100),
    Scenario("bursts", "source 1,000/s in bursts of 1,000, sink 2,000/s", 1000, 2000, burst=1000),
    Scenario(
        "stall", "source 1,000/s, sink 3,000/s that stalls and recovers", 1000, 3000, stall=(0.25, 0.75)
    ),
)
SCENARIOS: Final = {scenario.name: scenario for scenario in (MEMORY, *SHORT)}
