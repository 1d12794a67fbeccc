"""How far event time has come with the records of one split, as a watermark strategy says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.core.clock import Clock
from pipeline.core.elements import BEGINNING
from pipeline.core.records import Batch
from pipeline.windows.watermarks import WatermarkStrategy


class Watermarking:
    """Places the watermarks of one split: of a source, or of what passes an operator.

    Args:
        strategy: the user's.
        clock: says how far ahead of it a timestamp is.
        greatest: the greatest timestamp that has moved event time.
        records: since the last watermark, where they are placed by count.
    """

    def __init__(
        self, strategy: WatermarkStrategy, clock: Clock, greatest: int = BEGINNING, records: int = 0
    ) -> None:
        self._strategy = strategy
        self._clock = clock
        self.greatest = greatest
        self.records = records

    def pieces(self, batch: Batch[Any]) -> Iterator[Batch[Any]]:
        """Cut a stamped batch after each record that a watermark follows."""
        every = self._strategy.every
        if every is None:
            if len(batch):
                yield batch
            return
        start = 0
        while start < len(batch):
            end = min(start + every - self.records, len(batch))
            self.records += end - start
            yield batch[start:end]
            start = end

    def moving(self, piece: Batch[Any], greatest: int | None = None) -> int:
        """Return the greatest timestamp of a piece that moves event time.

        Args:
            greatest: the greatest of all its timestamps, where that is known.
        """
        timestamps = piece.timestamps
        assert timestamps is not None
        if greatest is None:
            greatest = max(timestamps)
        ahead = self._strategy.max_ahead_ms
        if ahead is not None and greatest > (limit := self._clock.now_ms() + ahead):
            return max((each for each in timestamps if each <= limit), default=BEGINNING)
        return greatest

    def moved(self, timestamp: int) -> int | None:
        """Note what `moving` returned, once the piece is out; return the watermark, if one is due."""
        self.greatest = max(self.greatest, timestamp)
        if self._strategy.every is not None and self.records != self._strategy.every:
            return None
        self.records = 0
        return BEGINNING if self.greatest == BEGINNING else self.greatest - self._strategy.bound_ms - 1
