"""From a job's records to what is written: topic, partition, key, value, headers and time of each."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

from connectors.kafka.outgoing import Outgoing
from connectors.kafka.targets import Targets
from connectors.kafka.writing_plan import Encode, WritingPlan
from pipeline.core.clock import Clock
from pipeline.core.errors import PipelineError, SinkError
from pipeline.core.functions import function_ref


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
            SinkError: a record cannot be encoded, or is larger than its topic takes; none is written.
        """
        plan = self._plan
        topics = plan.topic if isinstance(plan.topic, str) else self._all(plan.topic, values, "topic=")
        keys = None if plan.key is None else [_key(key) for key in self._all(plan.key, values, "key=")]
        outgoing = Outgoing(
            topics,
            self._partitions(topics, keys, len(values)),
            keys,
            self._values(topics, values),
            None if plan.headers is None else self._all(plan.headers, values, "headers="),
            self._clock.now_ms()
            if plan.timestamp is None
            else self._all(plan.timestamp, values, "timestamp="),
        )
        self._check_sizes(outgoing, values)
        return outgoing

    def _all(self, function: Callable[[Any], Any], values: Sequence[Any], which: str) -> list[Any]:
        try:
            return [function(value) for value in values]
        except PipelineError:
            raise
        except Exception as error:
            raise _refusal(function, values, which, error) from error

    def _values(self, topics: str | list[str], values: Sequence[Any]) -> list[bytes | None]:
        if isinstance(topics, str):
            if not any(value is None for value in values):
                return self._all(self._encoder(topics), values, "value=")
            topics = [topics] * len(values)
        pairs = zip(topics, values, strict=True)
        return [
            None if value is None else self._all(self._encoder(topic), (value,), "value=")[0]
            for topic, value in pairs
        ]

    def _encoder(self, topic: str) -> Encode:
        encoder = self._encoders.get(topic)
        if encoder is None:
            encoder = self._encoders[topic] = self._plan.value(topic)
        return encoder

    def _partitions(
        self, topics: str | list[str], keys: list[bytes | None] | None, count: int
    ) -> int | list[int]:
        if isinstance(topics, str):
            partitions = self._targets.of(topics).partitions
            if partitions == 1 and self._plan.partitioner is None:
                return 0
            counts = [partitions] * count
        else:
            counts = [self._targets.of(topic).partitions for topic in topics]
        self._turn += 1  # a batch without keys stays together: it compresses better so
        choose = self._plan.partitioner or self._by_key_or_turn
        return [choose(key, of) for key, of in zip(keys or [None] * count, counts, strict=True)]

    def _by_key_or_turn(self, key: bytes | None, partitions: int) -> int:
        return self._turn % partitions if key is None else by_key_hash(key, partitions)

    def _check_sizes(self, outgoing: Outgoing, values: Sequence[Any]) -> None:
        sizes = outgoing.sizes()
        topics = outgoing.topics
        if isinstance(topics, str):
            limits = [self._targets.of(topics).max_record_bytes] * len(sizes)
            topics = [topics] * len(sizes)
            if max(sizes, default=0) <= limits[0]:
                return
        else:
            limits = [self._targets.of(topic).max_record_bytes for topic in topics]
        for topic, size, limit, value in zip(topics, sizes, limits, values, strict=True):
            if size > limit:
                raise SinkError(
                    f"a record of {size:,} bytes is too large for the topic {topic}, which takes "
                    f"{limit:,}: {_shown(value)}",
                    retryable=False,
                    hint="filter such records out before the sink, or raise the topic's max.message.bytes "
                    "and, in config, message.max.bytes",
                )


def _key(key: bytes | str | None) -> bytes | None:
    return key.encode() if isinstance(key, str) else key


def _refusal(
    function: Callable[[Any], Any], values: Sequence[Any], which: str, cause: Exception
) -> SinkError:
    """Name the first record with which a function fails."""
    culprit: Any = None
    for value in values:
        try:
            function(value)
        except Exception:  # noqa: BLE001 - whatever the user's function raises
            culprit = value
            break
    return SinkError(
        f"{which} raised {type(cause).__name__}: {cause} on {_shown(culprit)}",
        retryable=False,
        hint="bring the records into a form it takes before the sink",
    ).located(function=str(function_ref(function)))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
