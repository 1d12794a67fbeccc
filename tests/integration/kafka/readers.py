"""What others see: a client that is not the engine's, and the broker's own word on transactions."""

from __future__ import annotations

from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer
from kafka.structs import TopicPartition


def read_committed(address: str, topic: str) -> list[bytes]:
    """Return the values of all committed records of a topic, up to where it ends now."""
    consumer: Any = KafkaConsumer(
        bootstrap_servers=address,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
    )
    try:
        partitions = [TopicPartition(topic, n) for n in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        consumer.seek_to_beginning(*partitions)
        values: list[bytes] = []
        while any(consumer.position(one) < ends[one] for one in partitions):
            for records in consumer.poll(timeout_ms=1000).values():
                values.extend(record.value for record in records)
        return values
    finally:
        consumer.close()


def first_committed(address: str, topic: str, partitions: int, seconds: int = 60) -> bytes:
    """Wait for the first committed record of a topic and return its value."""
    consumer: Any = KafkaConsumer(
        bootstrap_servers=address,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        consumer_timeout_ms=seconds * 1000,
    )
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(partitions)])
        return next(record.value for record in consumer)
    finally:
        consumer.close()


def open_transactions(address: str, prefix: str) -> list[str]:
    """Return the transactional ids beginning so that have a transaction open."""
    return transactions(address, prefix, "Ongoing")


def transactions(address: str, prefix: str, state: str) -> list[str]:
    """Return the transactional ids with that prefix whose transaction has that state at the broker."""
    client: Any = KafkaAdminClient(bootstrap_servers=address)
    try:
        listed = client.list_transactions(transactional_id_pattern=f"{prefix}.*")
    finally:
        client.close()
    return [one.transactional_id for of in listed.values() for one in of if one.state.value == state]
