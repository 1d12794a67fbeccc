"""What one would write by hand with the Kafka client: a loop that reads, works and writes in transactions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

import orjson
from confluent_kafka import Consumer, Message, Producer, TopicPartition

WINDOW_MS: Final = 10_000
OUT_OF_ORDER_MS: Final = 1000
COMMIT_EVERY_SECONDS: Final = 1.0
AT_ONCE: Final = 5000

Sums = dict[int, dict[str, int]]


def window_sums(servers: str, topic: str, into: str, records: int) -> None:
    """Sum amounts by user and window of ten seconds: orjson to read, json to write, one produce at a time."""
    windows: Sums = {}
    latest = 0
    next_end = WINDOW_MS

    def work(messages: list[Message], producer: Producer) -> None:
        nonlocal latest, next_end
        for message in messages:
            event = orjson.loads(message.value() or b"")
            at = event["ts"]
            start = at - at % WINDOW_MS
            sums = windows.get(start)
            if sums is None:
                sums = windows[start] = {}
            user = event["user"]
            sums[user] = sums.get(user, 0) + event["amount"]
            if at > latest:
                latest = at
                if latest - OUT_OF_ORDER_MS >= next_end:
                    _give_out(windows, latest - OUT_OF_ORDER_MS, producer, into)
                    next_end = min(windows, default=latest) + WINDOW_MS

    def end(producer: Producer) -> None:
        _give_out(windows, 2**63, producer, into)

    _transactions(servers, topic, records, work, end)


def _give_out(windows: Sums, watermark: int, producer: Producer, into: str) -> None:
    for start in sorted(start for start in windows if start + WINDOW_MS <= watermark):
        for user, total in windows.pop(start).items():
            producer.produce(into, json.dumps({"user": user, "start": start, "sum": total}).encode())
        producer.poll(0)


def copy(servers: str, topic: str, into: str, records: int) -> None:
    """Copy each record as it is."""

    def work(messages: list[Message], producer: Producer) -> None:
        for message in messages:
            producer.produce(into, message.value(), key=message.key())
        producer.poll(0)

    _transactions(servers, topic, records, work, lambda _: None)


def _transactions(
    servers: str,
    topic: str,
    records: int,
    work: Callable[[list[Message], Producer], None],
    end: Callable[[Producer], None],
) -> None:
    """Read `records` records; commit once a second what was written, with the offset after what was read."""
    reading: dict[str, Any] = {
        "bootstrap.servers": servers,
        "group.id": f"loop-{_run_id()}",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    }
    consumer = Consumer(reading)
    consumer.assign([TopicPartition(topic, 0, 0)])
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "transactional.id": f"loop-{_run_id()}",
            "linger.ms": 50,
            "queue.buffering.max.messages": 2_000_000,
        }
    )
    producer.init_transactions()
    producer.begin_transaction()
    last, seen = time.perf_counter(), 0
    while seen < records:
        messages = consumer.consume(AT_ONCE, 1.0)
        work(messages, producer)
        seen += len(messages)
        now = time.perf_counter()
        if now - last > COMMIT_EVERY_SECONDS:
            offset = [TopicPartition(topic, 0, seen)]
            producer.send_offsets_to_transaction(offset, consumer.consumer_group_metadata())
            producer.commit_transaction()
            producer.begin_transaction()
            last = now
    end(producer)
    producer.commit_transaction()
    consumer.close()


def _run_id() -> str:
    """Name this run: two of one name would fence each other."""
    return f"{time.time_ns()}"
