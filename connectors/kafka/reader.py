"""The consumer of a source: takes messages from the brokers, without a group's rebalancing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.kafka.config import ClientSettings
from connectors.kafka.errors import config_error, is_refusal, kafka_error
from connectors.kafka.partitions import Partition, out_of_range
from pipeline.core.errors import SourceError

_WAIT: Final = 0.1
"""Seconds. librdkafka cannot be woken through its Python client: so long may a cancel wait for its answer."""

_RANGE: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})


class Taken(NamedTuple):
    """What was taken: messages, each partition's in order, and where a partition's end was reached.

    Args:
        messages: with no error among them.
        ends: the offset after everything present, control records included.
    """

    messages: list[Message]
    ends: Mapping[Partition, int]


class Reader:
    """Reads the partitions it is assigned, from the offsets it is given; no position is kept in Kafka.

    Args:
        settings: of the client.
        group: under which offsets are shown, for monitoring alone.
        isolation: `read_committed` or `read_uncommitted`.

    Raises:
        ConfigError: the client refuses its settings.
    """

    def __init__(self, settings: ClientSettings, group: str, isolation: str) -> None:
        self._settings = settings
        self._refused: KafkaError | None = None
        self._client_settings = settings.client(
            {
                "group.id": group,
                "isolation.level": isolation,
                "auto.offset.reset": "error",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "error_cb": self._heard,
            }
        )
        self._to_show: Mapping[Partition, int] = {}
        self._consumer = self._new_consumer()

    def add(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions too, from these offsets on."""
        self._consumer.incremental_assign(_listed(offsets))

    def drop(self, partitions: Iterable[Partition]) -> None:
        """Read these partitions no longer."""
        self._consumer.incremental_unassign([TopicPartition(*partition) for partition in partitions])

    def replace(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on with a new client; the old one is left to end."""
        self._consumer = self._new_consumer()
        self.add(offsets)

    def take(self, limit: int) -> Taken:
        """Return what is there, up to `limit`, or else what comes first; nothing after a short while.

        Raises:
            SourceError: reading cannot continue. Brokers that are down are waited for instead.
        """
        self._show()
        try:
            # With a timeout it would wait until `limit` messages are there, or the time is over.
            messages = self._consumer.consume(limit, 0)
            if not messages:
                first = self._consumer.poll(_WAIT)
                messages = [] if first is None else [first]
        except KafkaException as error:
            raise kafka_error(SourceError, "read", error, self._settings) from error
        if self._refused is not None:
            connecting = f"connect to {self._settings.servers}"
            raise kafka_error(SourceError, connecting, self._refused, self._settings)
        if any(map(Message.error, messages)):
            return self._without_events(messages)
        return Taken(messages, {})

    def show(self, offsets: Mapping[Partition, int]) -> None:
        """Let the group show these offsets; whether that comes about changes nothing. Any thread.

        They are sent by the thread that reads: the client lets no other one in while that one polls.
        """
        self._to_show = offsets

    def close(self) -> None:
        self._show()
        self._consumer.close()

    def _new_consumer(self) -> Consumer:
        try:
            return Consumer(self._client_settings)
        except KafkaException as error:
            raise config_error(error, self._settings) from error

    def _show(self) -> None:
        offsets, self._to_show = self._to_show, {}
        if offsets:
            with suppress(KafkaException):
                self._consumer.commit(offsets=_listed(offsets), asynchronous=True)

    def _without_events(self, messages: list[Message]) -> Taken:
        records: list[Message] = []
        ends: dict[Partition, int] = {}
        for message in messages:
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ends[_partition(message)] = _offset(message)
            elif not error.retriable() or error.fatal():
                raise self._error(message, error)
        return Taken(records, ends)

    def _error(self, message: Message, error: KafkaError) -> SourceError:
        if message.topic() is None:
            return kafka_error(SourceError, "read", error, self._settings)
        partition = _partition(message)
        if error.code() in _RANGE:
            return out_of_range(partition, _offset(message), "the broker does not have it")
        return kafka_error(SourceError, f"read {partition}", error, self._settings)

    def _heard(self, error: KafkaError) -> None:
        if is_refusal(error) or error.fatal():
            self._refused = error


def _listed(offsets: Mapping[Partition, int]) -> list[TopicPartition]:
    return [TopicPartition(*partition, offset) for partition, offset in offsets.items()]


def _partition(message: Message) -> Partition:
    topic, number = message.topic(), message.partition()
    assert topic is not None
    assert number is not None
    return Partition(topic, number)


def _offset(message: Message) -> int:
    offset = message.offset()
    assert offset is not None
    return offset
