"""Kafka to Kafka, exactly once: what a job needs does not grow with what it has read.

With `PIPELINE_KILLS=100` or more, as in `make soak`, over ten million records.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.kafka_broker import TIMEOUT, Topics

from .conftest import Workshop
from .kafka_load import record

LONG = int(os.environ.get("PIPELINE_KILLS", "3")) >= 100
FEW, MANY = (1_000_000, 10_000_000) if LONG else (50_000, 400_000)
BOUND_MB = 25
"""A hundred bytes that each record left behind would be 860 MB, or 33."""


@pytest.mark.timeout(3600 if LONG else 180)
def test_memory_is_flat_however_much_is_read(
    kafka: str, topic: Topics, workshop: Callable[..., Workshop]
) -> None:
    name = topic()
    fill(kafka, name, MANY)
    peaks: list[float] = []
    for count in (FEW, MANY):
        into = {"COPIES": topic(), "SUMS": topic()}
        shop = workshop("flat", PIPELINE_KAFKA=kafka, TOPIC=name, STOP=str(count), **into)
        process = shop.start()
        _, err = process.communicate(timeout=3000)
        assert process.returncode == 0, err
        peaks.append(peak_megabytes(shop.folder))
    print(f"{peaks[0]:.1f} MB for {FEW:,} records, {peaks[1]:.1f} MB for {MANY:,}")
    assert peaks[1] - peaks[0] < BOUND_MB, peaks


def fill(address: str, name: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": address, "linger.ms": 20, "compression.type": "lz4"})
    for number in range(count):
        producer.produce(name, json.dumps(record(number)).encode())
        if number % 10_000 == 0:
            producer.flush(TIMEOUT)
    assert producer.flush(TIMEOUT) == 0


def peak_megabytes(folder: Path) -> float:
    found = re.search(r"VmHWM:\s*(\d+) kB", (folder / "peak").read_text())
    assert found is not None
    return int(found[1]) / 1024
