"""How many records a hand-over may hold: a number, or what its consumer works off in about a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pipeline.reactive.demand import MAX_BOUND, AdaptiveBound
from pipeline.reactive.footprint import footprint
from pipeline.reactive.subscriber import Records

MAX_BYTES: Final = 16 * 1024 * 1024
"""Bytes a hand-over may hold, by a sampled estimate (DESIGN section 3)."""

SAMPLED_EVERY: Final = 1024
SAMPLED_EVERY_S: Final = 0.005
"""Records, and seconds, between two that are measured: it takes tens of microseconds, too many for a batch of
one and for each batch of a hand-over of millions a second."""


class FixedBound:
    """The number that was asked for, whatever the consumer does."""

    def __init__(self, value: int) -> None:
        self.value = value

    def busy(self) -> None:
        """The time does not count."""

    def consumed(self, values: Records[Any]) -> None:
        """Neither does the rate."""


class LearnedBound:
    """About a second of the consumer's rate, and no more than `MAX_BYTES`.

    Args:
        now: a clock in seconds that never goes back.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._rate = AdaptiveBound(MAX_BOUND)
        self._busy_since = 0.0
        self._most = MAX_BOUND
        self._until_sample = 0
        self._sample_at = 0.0

    @property
    def value(self) -> int:
        """Records that may be held now."""
        return self._rate.value

    def busy(self) -> None:
        """The first record has arrived where there was none: time counts from here."""
        self._busy_since = self._now()

    def consumed(self, values: Records[Any]) -> None:
        """Learn from a batch that has been dealt with."""
        # From the arrival of the first record or the end of the batch before: the time that records
        # wait because the consumer's own output is not wanted counts, or the bound in front of a
        # quick function that feeds a slow sink would hold a barrier for minutes.
        now = self._now()
        self._rate.observe(len(values), now - self._busy_since)
        self._busy_since = now
        self._rate.limit(self._most_by_bytes(values, now))

    def _most_by_bytes(self, values: Records[Any], now: float) -> int:
        self._until_sample -= len(values)
        if self._until_sample <= 0 and now >= self._sample_at:
            self._until_sample = SAMPLED_EVERY
            self._sample_at = now + SAMPLED_EVERY_S
            self._most = min((MAX_BYTES // footprint(first) for first in values[:1]), default=MAX_BOUND)
        return self._most
