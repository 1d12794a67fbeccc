"""The position of a source while it reads: the next record of each partition, and which are still read."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from connectors.kafka.partitions import Partition, Position
from pipeline.spi.source import JsonLike


class Standing:
    """Changed under the checkpoint lock, in which snapshots are taken too.

    Attributes:
        offsets: the next one of each partition; empty until reading has begun.
        reads: the partitions that have not been read to their end.
        shown: the offsets of the last snapshot.
        restored: where to continue, or to begin; None before that is known.
    """

    def __init__(self) -> None:
        self.offsets: dict[Partition, int] = {}
        self.reads: set[Partition] = set()
        self.shown: Mapping[Partition, int] = {}
        self.restored: Position | None = None

    def add(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions too."""
        self.offsets.update(offsets)
        self.reads |= offsets.keys()

    def finish(self, partitions: Collection[Partition]) -> None:
        """Read these no longer; their offsets stay part of the position."""
        self.reads -= set(partitions)

    def pass_to(self, partition: Partition, offset: int) -> None:
        """Move past what is not a record; never back."""
        self.offsets[partition] = max(self.offsets[partition], offset)

    def of_reads(self) -> dict[Partition, int]:
        """Return the offsets of the partitions that are still read."""
        return {partition: self.offsets[partition] for partition in self.reads}

    def snapshot(self, topic_ids: Mapping[str, str], stop: JsonLike) -> JsonLike:
        """Return the position; None before there is one."""
        if self.offsets:
            self.shown = dict(self.offsets)
            return Position(self.shown, topic_ids, stop).to_state()
        return None if self.restored is None else self.restored.to_state()
