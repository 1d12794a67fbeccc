"""Writes what the tests read, with a producer of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.kafka_broker import TIMEOUT

Write = Callable[..., None]


def write_to(
    address: str,
    topic: str,
    values: Iterable[Any],
    *,
    partition: int = 0,
    timestamp: int = 0,
    key: bytes | None = None,
    headers: list[tuple[str, str | bytes | None]] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Write values, as JSON unless they are bytes or None, and wait until all are there."""
    producer = Producer({"bootstrap.servers": address, "log_level": 2, **(settings or {})})
    for value in values:
        data = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
        producer.produce(
            topic, data, key, partition, timestamp=timestamp, headers=headers, on_delivery=_delivered
        )
        producer.poll(0)
    assert producer.flush(TIMEOUT) == 0


def _delivered(error: Any, _: Any) -> None:
    assert error is None, error


@pytest.fixture
def write(kafka: str) -> Write:
    def written(topic: str, values: Iterable[Any], **how: Any) -> None:
        write_to(kafka, topic, values, **how)

    return written
