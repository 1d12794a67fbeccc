"""Whether a consumer waits in vain for records that the brokers have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from connectors.kafka.partitions import Partition
from connectors.kafka.silence import EndQueries, answered_end
from pipeline.core.clock import Clock

_EVERY_MS: Final = 4_000
"""Between two questions: a consumer has this long for what the brokers are known to have."""


class FetchWatch:
    """Asks where partitions end whenever a consumer has nothing more to give.

    A consumer waits for records without any call that could fail. If it has none, though the same offset
    of a partition is found before its end twice in a row, its client hangs; brokers that do not
    answer are not evidence.

    Args:
        brokers: who is asked; through another client than the consumer.
        clock: measures the time between questions.
        committed: whether only what a reader of committed records can see counts.
    """

    def __init__(self, brokers: EndQueries, clock: Clock, *, committed: bool) -> None:
        self._brokers = brokers
        self._clock = clock
        self._committed = committed
        self._ask_at = clock.monotonic_ms() + _EVERY_MS
        self._asked: Mapping[Partition, Future[Any]] = {}
        self._pending: dict[Partition, int] = {}

    def is_stuck(self, offsets: Mapping[Partition, int], reads: Iterable[Partition]) -> bool:
        """Say whether the consumer is at fault; called when it has just been found empty.

        Args:
            offsets: the next one of each partition.
            reads: the partitions that are read.
        """
        if not self._asked:
            if self._clock.monotonic_ms() >= self._ask_at:
                self._asked = self._brokers.ask_end_offsets(list(reads), committed=self._committed)
            return False
        if not all(one.done() for one in self._asked.values()):
            return False
        ends = {partition: answered_end(asked) for partition, asked in self._asked.items()}
        pending = {
            partition: offsets[partition]
            for partition, end in ends.items()
            if end is not None and offsets[partition] < end
        }
        stuck = bool(pending.items() & self._pending.items())
        self._asked, self._pending = {}, {} if stuck else pending
        self._ask_at = self._clock.monotonic_ms() + _EVERY_MS
        return stuck
