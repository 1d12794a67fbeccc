"""Where reading ends: the offset of each partition, found at the start or when a future time has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from confluent_kafka import Message

from connectors.kafka.bounds import OffsetQueries, Stop, milliseconds_of, stop_offsets
from connectors.kafka.open_transactions import say_left_out
from connectors.kafka.partitions import Partition, by_topic, of_topics
from pipeline.core.clock import Clock
from pipeline.spi.source import JsonLike


class Stops:
    """The end of each partition, looked up once.

    What is found is part of the position, so that a restart ends where the first start would have: it
    may have passed the end of one partition in event time while it still read another.

    A time in the future is awaited. Until it has come a partition ends before its first record of that
    time or a later one; those that have none by then end where they end at that moment.

    Args:
        stop: what the user said; None for never.
        committed: whether the end is that of the committed records.

    Attributes:
        settled: whether all ends are known, so that partitions found later are not read.
    """

    def __init__(self, stop: Stop | None, clock: Clock, *, committed: bool) -> None:
        self._stop: Stop | None = stop
        self._clock = clock
        self._committed = committed
        self._until = milliseconds_of(stop) if isinstance(stop, datetime) else None
        self._known: dict[Partition, int] = {}
        self.settled = False

    @property
    def due(self) -> bool:
        """Whether `find` is to be called again: the time has come."""
        return self._until is not None and not self.settled and self._clock.now_ms() >= self._until

    def find(self, partitions: Sequence[Partition], brokers: OffsetQueries) -> None:
        """Look up the ends of these partitions as far as they are known now; those found before stay.

        Raises:
            ConfigError: explicit offsets name a partition that does not exist.
            SourceError: the brokers do not answer.
        """
        if self._stop is None or self.settled:
            return
        if self._until is not None and self._clock.now_ms() < self._until:
            found = brokers.offsets_at(partitions, self._until)
            self._keep({partition: offset for partition, offset in found.items() if offset >= 0})
            return
        found = stop_offsets(self._stop, partitions, brokers, committed=self._committed)
        if self._stop == "latest" and self._committed:
            say_left_out(found, brokers.end_offsets(partitions, committed=False))
        self._keep(found)
        self.settled = True  # last: a snapshot may be taken meanwhile

    def before(self, partition: Partition, messages: Sequence[Message]) -> int | None:
        """Return the end of a partition, None where not even its next messages tell it."""
        known = self._known.get(partition)
        if known is not None or self._until is None:
            return known
        return next((each.offset() for each in messages if each.timestamp()[1] >= self._until), None)

    def note(self, partition: Partition, stop: int) -> None:
        """Keep what `before` returned; holding the checkpoint lock, since it goes into the snapshot."""
        self._known[partition] = stop

    def limit(self, partition: Partition, offset: int) -> int:
        """Return an offset, or the end of the partition if that comes first."""
        return min(offset, self._known.get(partition, offset))

    def reached(self, offsets: Mapping[Partition, int], partitions: Iterable[Partition]) -> set[Partition]:
        """Return those of the partitions that have been read to their end."""
        known = self._known
        return {one for one in partitions if one in known and offsets[one] >= known[one]}

    # --- snapshots -----------------------------------------------------------------------------------

    def snapshot(self) -> JsonLike:
        """Return what has been found, None where reading never ends."""
        if self._stop is None:
            return None
        return {"at": self._named, "settled": self.settled, "offsets": by_topic(self._known)}

    def restore(self, state: JsonLike) -> None:
        """Continue with what an earlier attempt found, unless it was to stop elsewhere."""
        if state is not None and state["at"] == self._named:
            self._known = of_topics(state["offsets"])
            self.settled = state["settled"]

    def _keep(self, found: Mapping[Partition, int]) -> None:
        self._known = {**found, **self._known}

    @property
    def _named(self) -> str:
        return self._stop.isoformat() if isinstance(self._stop, datetime) else str(self._stop)
