"""How many a second, lately."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_HALF_LIFE_S: Final = 1.0


class Rate:
    """Counts events and says how many there were a second; those of a second ago weigh half.

    Args:
        now: a clock in seconds that never goes back.
    """

    __slots__ = ("_at", "_now", "_weighed")

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._at = now()
        self._weighed = 0.0

    def add(self, n: int) -> None:
        """Count `n` events that happen now."""
        now = self._now()
        self._weighed = self._decayed(now) + n
        self._at = now

    @property
    def value(self) -> float:
        """Events a second."""
        return self._decayed(self._now()) * _LN2 / _HALF_LIFE_S

    def _decayed(self, now: float) -> float:
        return self._weighed * 0.5 ** ((now - self._at) / _HALF_LIFE_S)


_LN2: Final = 0.6931471805599453
"""A steady stream of r a second weighs r · half-life / ln 2 in all."""
