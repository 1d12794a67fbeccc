"""Topics for the benchmarks: made and filled before anything is measured, read back afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.events import events

FIRST_TIME: Final = 1_700_000_000_000
"""Milliseconds UTC of the first event."""

Record = tuple[bytes | None, bytes, int]
"""Key, value, timestamp."""


def create(servers: str, topic: str, partitions: int = 1) -> None:
    """Create a topic that keeps records however old their timestamps are."""
    admin: Any = AdminClient({"bootstrap.servers": servers})
    new = NewTopic(topic, partitions, 1, config={"retention.ms": "-1"})
    for created in admin.create_topics([new]).values():
        created.result()


def fill(servers: str, topic: str, records: Iterable[Record]) -> None:
    """Create a topic and write the records to it."""
    create(servers, topic)
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "linger.ms": 50,
            "queue.buffering.max.messages": 2_000_000,
            "compression.type": "lz4",
        }
    )
    for number, (key, value, timestamp) in enumerate(records):
        producer.produce(topic, value, key=key, timestamp=timestamp)
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush()


def json_events(count: int) -> Iterable[Record]:
    """The events of all benchmarks as JSON, by user, with the time of each as the record's own."""
    for event in events(count):
        yield event["user"].encode(), json.dumps(event).encode(), FIRST_TIME + event["ts"]


def hundred_bytes(count: int) -> Iterable[Record]:
    """Records of 100 bytes, each different."""
    for number in range(count):
        yield None, b"%0100d" % number, FIRST_TIME + number


def committed_reader(servers: str, topic: str) -> Consumer:
    """Return a reader of the committed records of a one-partition topic that reports its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "benchmark-reader",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "fetch.queue.backoff.ms": 5,  # the default, one second, leaves it idle most of the time
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    return consumer


def committed(servers: str, topic: str) -> list[bytes]:
    """Read all that a read-committed consumer sees of a one-partition topic."""
    consumer = committed_reader(servers, topic)
    values: list[bytes] = []
    try:
        while True:
            for message in consumer.consume(10_000, 10.0):
                if message.error() is not None:
                    return values  # the end of the partition
                values.append(_bytes(message.value()))
    finally:
        consumer.close()


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b""
