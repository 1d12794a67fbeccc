"""Partitions, and the position of a reader in all of them: the next offset of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from pipeline.core.errors import SourceError
from pipeline.spi.source import JsonLike

SOURCE_TYPE: Final = "kafka"


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int

    @property
    def split(self) -> str:
        """What origins and watermarks call it."""
        return f"{self.topic}-{self.number}"

    def __str__(self) -> str:
        return self.split


class Topic(NamedTuple):
    """What a broker says of a topic.

    Args:
        id: another one when it was deleted and created again; empty where the broker knows no ids.
        partitions: how many there are.
    """

    id: str
    partitions: int

    def of(self, name: str) -> list[Partition]:
        """Return the topic's partitions."""
        return [Partition(name, number) for number in range(self.partitions)]


class Position(NamedTuple):
    """The position of a reader: the next offset of each partition, and the ids of the topics.

    Args:
        offsets: the next offset.
        topic_ids: ids of the topics that the offsets were counted in.
        stop: what is known of where reading ends; None if it never does.
    """

    offsets: Mapping[Partition, int]
    topic_ids: Mapping[str, str]
    stop: JsonLike = None

    def to_state(self) -> JsonLike:
        """Return what a checkpoint stores."""
        state: dict[str, Any] = {
            "source_type": SOURCE_TYPE,
            "offsets": by_topic(self.offsets),
            "topic_ids": dict(self.topic_ids),
        }
        return state if self.stop is None else {**state, "stop": self.stop}

    @classmethod
    def from_state(cls, state: JsonLike) -> Position:
        """Return what `to_state` was called on.

        Raises:
            SourceError: the state is none of a Kafka source.
        """
        stored = cast(dict[str, Any], state) if isinstance(state, dict) else {}
        if stored.get("source_type") != SOURCE_TYPE:
            raise SourceError(
                f"the checkpoint holds no position of a Kafka source, but {state!r}",
                retryable=False,
                hint="give the sources of the job the uids they had, or start over with --fresh",
            )
        return cls(of_topics(stored["offsets"]), stored["topic_ids"], stored.get("stop"))

    def check_topics(self, topics: Mapping[str, Topic]) -> None:
        """Raise if a topic is not the one in which the offsets were counted.

        Raises:
            SourceError: one was deleted, was created again, or has lost partitions.
        """
        for name in sorted({partition.topic for partition in self.offsets}):
            check_same(name, self.topic_ids.get(name, ""), topics.get(name))
        for partition in self.offsets:
            if partition.number >= topics[partition.topic].partitions:
                raise _changed(partition.topic, f"has no partition {partition.number} any more")

    def check_range(self, first: Mapping[Partition, int], end: Mapping[Partition, int]) -> None:
        """Raise for offsets that the broker does not have: missing records are never skipped silently.

        Args:
            first: the oldest offset that each partition has.
            end: the offset that its next record will get.

        Raises:
            SourceError: an offset is outside.
        """
        for partition, offset in self.offsets.items():
            if not first[partition] <= offset <= end[partition]:
                raise out_of_range(partition, offset, f"it has {first[partition]} to {end[partition]}")


def by_topic(offsets: Mapping[Partition, int]) -> JsonLike:
    """Return offsets as a checkpoint stores them: by topic and number, that as text."""
    state: dict[str, dict[str, int]] = {}
    for partition, offset in offsets.items():
        state.setdefault(partition.topic, {})[str(partition.number)] = offset
    return state


def of_topics(state: JsonLike) -> dict[Partition, int]:
    """Return what `by_topic` was called on."""
    topics: dict[str, dict[str, int]] = state
    return {
        Partition(topic, int(number)): offset
        for topic, numbers in topics.items()
        for number, offset in numbers.items()
    }


def check_same(name: str, known_id: str, found: Topic | None) -> None:
    """Refuse a topic that is gone, or that is another one of the same name."""
    if found is None:
        raise _changed(name, "was deleted")
    if known_id and found.id and known_id != found.id:
        raise _changed(name, "was deleted and created again")


def out_of_range(partition: Partition, offset: int, found: str) -> SourceError:
    """Build the error for a position whose records the broker does not have."""
    return SourceError(
        f"offset {offset} of {partition} is out of range: {found}",
        retryable=False,
        hint="records that the job has not read are gone, by retention or because the topic was recreated; "
        "raise retention.ms; to continue without them start over with --fresh and start=",
    )


def _changed(name: str, what: str) -> SourceError:
    return SourceError(
        f"the topic {name} {what} since the job has read from it",
        retryable=False,
        hint="its offsets mean nothing now: start over with --fresh",
    )


def without_topics(position: Position, kept: Iterable[str]) -> Position:
    """Return the position in some of the topics only."""
    names = set(kept)
    return Position(
        {partition: offset for partition, offset in position.offsets.items() if partition.topic in names},
        {name: id_ for name, id_ in position.topic_ids.items() if name in names},
        position.stop,
    )
