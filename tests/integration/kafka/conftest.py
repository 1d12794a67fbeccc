"""Writes what the tests read, with a producer of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
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


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make a key and a certificate of 127.0.0.1 that nobody else vouches for."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    openssl = shutil.which("openssl")
    assert openssl is not None, "openssl is needed to make a certificate"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    make = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names, *files]
    subprocess.run(make, check=True, capture_output=True)
    return key, certificate


def _delivered(error: Any, _: Any) -> None:
    assert error is None, error


@pytest.fixture
def write(kafka: str) -> Write:
    def written(topic: str, values: Iterable[Any], **how: Any) -> None:
        write_to(kafka, topic, values, **how)

    return written
