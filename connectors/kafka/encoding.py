"""From a job's records to what is written: topic, partition, key, value, headers and time of each."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from connectors.kafka.columns import HEADERS, KEY, TIMESTAMP, TOPIC, VALUE, chosen_partitions
from connectors.kafka.outgoing import Outgoing
from connectors.kafka.targets import Targets
from connectors.kafka.writing_plan import Encode, WritingPlan
from pipeline.core.clock import Clock


def by_key_hash(key: bytes | None, partitions: int) -> int:
    """Choose by CRC-32 of the key, as librdkafka does; Kafka's own clients use murmur2."""
    return zlib.crc32(key or b"") % partitions


class Encoder:
    """Encodes batches, on the sink's thread.

    Args:
        plan: how.
        targets: know the topics' partitions and what they take.
        clock: stamps what has no time of its own.
    """

    def __init__(self, plan: WritingPlan, targets: Targets, clock: Clock) -> None:
        self._plan = plan
        self._targets = targets
        self._clock = clock
        self._encoders: dict[str, Encode] = {}
        self._turn = 0

    def prepare(self, topic: str) -> None:
        """Find out whether values can be encoded for a topic.

        Raises:
            PipelineError: they cannot, as when no Schema Registry answers.
        """
        self._encoder(topic)

    def encode(self, values: Sequence[Any]) -> Outgoing:
        """Encode a batch.

        Raises:
            SinkError: a record cannot be encoded, or its topic would refuse it; none is written.
        """
        plan = self._plan
        topics = plan.topic if isinstance(plan.topic, str) else TOPIC.of(plan.topic, values)
        keys = None if plan.key is None else KEY.of(plan.key, values)
        outgoing = Outgoing(
            topics,
            self._partitions(topics, keys, values),
            keys,
            self._values(topics, values),
            None if plan.headers is None else HEADERS.of(plan.headers, values),
            self._clock.now_ms() if plan.timestamp is None else TIMESTAMP.of(plan.timestamp, values),
        )
        self._check(outgoing, values)
        return outgoing

    def _values(self, topics: str | list[str], values: Sequence[Any]) -> list[bytes | None]:
        if isinstance(topics, str):
            if not any(value is None for value in values):
                return VALUE.of(self._encoder(topics), values)
            topics = [topics] * len(values)
        pairs = zip(topics, values, strict=True)
        return [
            None if value is None else VALUE.of(self._encoder(topic), (value,))[0] for topic, value in pairs
        ]

    def _encoder(self, topic: str) -> Encode:
        encoder = self._encoders.get(topic)
        if encoder is None:
            encoder = self._encoders[topic] = self._plan.value.encoder(topic, "value")
        return encoder

    def _partitions(
        self, topics: str | list[str], keys: list[bytes | None] | None, values: Sequence[Any]
    ) -> int | list[int]:
        if isinstance(topics, str):
            partitions = self._targets.of(topics).partitions
            if partitions == 1 and self._plan.partitioner is None:
                return 0
            counts = [partitions] * len(values)
        else:
            counts = [self._targets.of(topic).partitions for topic in topics]
        asked = list(zip(keys or [None] * len(values), counts, strict=True))
        if self._plan.partitioner is not None:
            return chosen_partitions(self._plan.partitioner, asked, values)
        self._turn += 1  # a batch without keys stays together: it compresses better so
        return [self._by_key_or_turn(*one) for one in asked]

    def _by_key_or_turn(self, key: bytes | None, partitions: int) -> int:
        return self._turn % partitions if key is None else by_key_hash(key, partitions)

    def _check(self, outgoing: Outgoing, values: Sequence[Any]) -> None:
        """Refuse what a broker would: it drops a whole batch for one record, and does not say which."""
        sizes, now = outgoing.sizes(), self._clock.now_ms()
        topics = outgoing.topics
        if isinstance(topics, str) and self._targets.of(topics).takes_all(outgoing, sizes, now):
            return
        for topic, size, (key, time), value in zip(
            outgoing.each_topic(), sizes, outgoing.each_key_and_time(), values, strict=False
        ):
            self._targets.of(topic).check(topic, size, key, time, now, value)
