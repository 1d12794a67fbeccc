"""From messages to records: decoded in batches, poison set apart, each with where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, overload

from confluent_kafka import Message

from connectors.kafka.formats import Field, Format
from connectors.kafka.partitions import Partition
from connectors.kafka.record import KafkaRecord
from pipeline.core.errors import PipelineError, SourceError
from pipeline.core.records import Origin, OriginRange


class Poison(NamedTuple):
    """A record that cannot be decoded.

    Args:
        data: its value as it is in the topic.
        error: names topic, partition and offset.
    """

    data: bytes | None
    error: SourceError
    origin: Origin


class Decoded(NamedTuple):
    """Records of one partition, and the messages between them that are none."""

    values: Sequence[Any]
    timestamps: Sequence[int]
    origins: Sequence[Origin]
    poison: Sequence[Poison]


class Decoder:
    """Decodes the messages of one topic.

    Args:
        topic: its name.
        value, key: their formats; without a key's only the values are records.
    """

    def __init__(self, topic: str, value: Format[Any], key: Format[Any] | None) -> None:
        self._value_format, self._key_format = value, key
        self._value = value.decoder(topic, "value")
        self._key = None if key is None else key.decoder(topic, "key")

    def decode(self, partition: Partition, messages: list[Message]) -> Decoded:
        """Decode messages of one partition, in their order.

        Raises:
            PipelineError: nothing can be decoded now, whatever the records; it names the one it came to.
        """
        poison: list[Poison] = []
        try:
            values = self._all(messages)
        except Exception:  # noqa: BLE001 - whatever a decoder raises; found again below, record by record
            messages, values, poison = self._one_by_one(partition, messages)
        timestamps = list(map(itemgetter(1), map(Message.timestamp, messages)))
        return Decoded(values, timestamps, origins_of(partition, messages), poison)

    def _all(self, messages: list[Message]) -> list[Any]:
        values = _decoded(list(map(Message.value, messages)), self._value)
        if self._key is None:
            return values
        keys = _decoded(list(map(Message.key, messages)), self._key)
        facts = (
            map(Message.topic, messages),
            map(Message.partition, messages),
            map(Message.offset, messages),
            map(itemgetter(1), map(Message.timestamp, messages)),
            [headers or () for headers in map(Message.headers, messages)],
        )
        return list(map(KafkaRecord._make, zip(values, keys, *facts, strict=True)))

    def _one_by_one(
        self, partition: Partition, messages: list[Message]
    ) -> tuple[list[Message], list[Any], list[Poison]]:
        sound: list[Message] = []
        values: list[Any] = []
        poison: list[Poison] = []
        for message in messages:
            try:
                values += self._all([message])
            except PipelineError as error:
                error.located(position=str(Origin(partition.split, message.offset() or 0)))
                raise
            except Exception as error:  # noqa: BLE001 - whatever a decoder raises
                poison.append(self._poison(partition, message, error))
            else:
                sound.append(message)
        return sound, values, poison

    def _poison(self, partition: Partition, message: Message, cause: Exception) -> Poison:
        origin = Origin(partition.split, message.offset() or 0)
        field, format_ = self._at_fault(message)
        error = SourceError(
            f"the {field} at offset {origin.position} of topic {partition.topic}, partition "
            f"{partition.number}, is not valid {format_.name}: {type(cause).__name__}: {cause}",
            retryable=False,
            hint="fix its producer; to continue without such records give the source "
            "on_error=ErrorPolicy.skip() or .dead_letter()",
        ).located(position=str(origin))
        error.__cause__ = cause
        return Poison(message.value(), error, origin)

    def _at_fault(self, message: Message) -> tuple[Field, Format[Any]]:
        """Say which of the two cannot be decoded, given that one cannot."""
        if self._key_format is not None and self._key is not None:
            try:
                _decoded([message.key()], self._key)
            except Exception:  # noqa: BLE001 - whatever a decoder raises
                return "key", self._key_format
        return "value", self._value_format


def origins_of(partition: Partition, messages: Sequence[Message]) -> Sequence[Origin]:
    """Return the origins of messages of one partition: in few bytes if they are consecutive."""
    if not messages:
        return ()
    first, last = messages[0].offset() or 0, messages[-1].offset() or 0
    if last - first == len(messages) - 1:
        return OriginRange(partition.split, first, len(messages))
    return _Offsets(partition.split, [message.offset() or 0 for message in messages])


def by_partition(
    messages: list[Message], reads: Set[Partition], *, alone: bool
) -> Iterable[tuple[Partition, list[Message]]]:
    """Group messages by partition, each group in its order.

    Args:
        reads: the partitions that are read; messages of others are late and left out.
        alone: whether there never was but one.
    """
    if alone or not messages:
        return [(partition, messages) for partition in reads] if messages else []
    groups: dict[Any, list[Message]] = {}
    one_topic = len({partition.topic for partition in reads}) == 1
    for place, run in groupby(messages, Message.partition if one_topic else _place):
        groups.setdefault(place, []).extend(run)
    found = ((Partition(*_place(group[0])), group) for group in groups.values())
    return [(partition, group) for partition, group in found if partition in reads]


class _Offsets(Sequence[Origin]):
    """Origins in one split whose offsets have gaps: at the ends of transactions, in compacted topics."""

    __slots__ = ("_offsets", "_split")

    def __init__(self, split: str, offsets: Sequence[int]) -> None:
        self._split = split
        self._offsets = offsets

    def __len__(self) -> int:
        return len(self._offsets)

    @overload
    def __getitem__(self, index: int) -> Origin: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Origin]: ...
    def __getitem__(self, index: int | slice) -> Origin | Sequence[Origin]:
        if isinstance(index, slice):
            return _Offsets(self._split, self._offsets[index])
        return Origin(self._split, self._offsets[index])


def _decoded(data: list[Any], decode: Callable[[bytes], Any]) -> list[Any]:
    if None in data:
        return [None if one is None else decode(one) for one in data]
    return list(map(decode, data))


def _place(message: Message) -> tuple[str, int]:
    return message.topic() or "", message.partition() or 0
