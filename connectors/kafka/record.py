"""What a source emits if more than the values is requested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")

Headers = Sequence[tuple[str, bytes | None]]


class KafkaRecord(NamedTuple, Generic[K, V]):
    """A record with all that Kafka keeps of it.

    Args:
        value, key: decoded; None where they are null.
        timestamp: milliseconds UTC, of its creation or of its arrival as the topic is configured.
        headers: in their order; a name may occur more than once.
    """

    value: V
    key: K
    topic: str
    partition: int
    offset: int
    timestamp: int
    headers: Headers
