"""Transactions of others that are open: a reader of committed records waits for their end, and says so."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from connectors.kafka.partitions import Partition
from connectors.kafka.silence import EndQueries, answered_end
from pipeline.core.clock import Clock

_log = logging.getLogger(__name__)

_HELD_MS: Final = 90_000
"""A job with a checkpoint each minute has a transaction open for a minute; that is not worth a line."""

_HELD_AT_THE_END_MS: Final = 10_000
"""A source that is to end is waited for: it says earlier what holds it up."""


class _Ends(NamedTuple):
    """Where a partition ends, for readers of committed records and for all others."""

    committed: Future[Any]
    written: Future[Any]


class OpenTransactions:
    """Logs once for each position at which an open transaction holds a partition up.

    Args:
        brokers: who is asked.
        ends: whether the source is to end.
    """

    def __init__(self, brokers: EndQueries, clock: Clock, *, ends: bool) -> None:
        self._brokers = brokers
        self._clock = clock
        self._held_ms = _HELD_AT_THE_END_MS if ends else _HELD_MS
        self._due = clock.monotonic_ms() + self._held_ms
        self._seen: dict[Partition, int] = {}  # the offsets at the last look
        self._asked: dict[Partition, _Ends] = {}
        self._said: dict[Partition, int] = {}

    def look(self, offsets: Mapping[Partition, int], reads: Iterable[Partition]) -> None:
        """Ask about partitions that have not moved since the last look, and log what was answered.

        Args:
            offsets: the next one of each partition.
            reads: the partitions that are read.
        """
        if self._asked:
            self._hear(offsets)
        elif self._clock.monotonic_ms() >= self._due:
            self._due = self._clock.monotonic_ms() + self._held_ms
            self._ask([one for one in reads if self._seen.get(one) == offsets[one] != self._said.get(one)])
            self._seen = dict(offsets)

    def _ask(self, partitions: list[Partition]) -> None:
        if partitions:
            committed = self._brokers.ask_end_offsets(partitions, committed=True)
            written = self._brokers.ask_end_offsets(partitions, committed=False)
            self._asked = {one: _Ends(committed[one], written[one]) for one in partitions}

    def _hear(self, offsets: Mapping[Partition, int]) -> None:
        if not all(one.done() for ends in self._asked.values() for one in ends):
            return
        asked, self._asked = self._asked, {}
        for partition, ends in asked.items():
            committed, written = map(answered_end, ends)
            at = offsets[partition]
            if committed is not None and written is not None and committed <= at < written:
                self._said[partition] = at
                _log.warning(
                    "%s waits at offset %d, where a transaction of another producer is open: records up to "
                    "offset %d are read when it ends",
                    partition,
                    at,
                    written,
                )


def say_left_out(stops: Mapping[Partition, int], written: Mapping[Partition, int]) -> None:
    """Log which records a source does not read that ends where the committed records end now.

    Args:
        stops: the offsets at which it ends.
        written: the ends of all records, those of open transactions included.
    """
    for partition, stop in stops.items():
        if stop < written[partition]:
            _log.warning(
                "%s is read up to offset %d, where a transaction of another producer is open: records up to "
                "offset %d are left out",
                partition,
                stop,
                written[partition],
            )
