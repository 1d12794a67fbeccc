"""A real Kafka for the tests, and the ways to disturb it; `tests/conftest.py` makes the fixtures known."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.kafka.embedded import EmbeddedKafka, Listener
from pipeline.core.errors import ConfigError

from .kafka_proxy import KafkaProxy

T = TypeVar("T")

_numbers = itertools.count()

TIMEOUT = 30  # seconds that the broker has for an answer


class Topics:
    """Makes topics of one broker and removes them again.

    Args:
        address: `bootstrap.servers`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.admin = AdminClient({"bootstrap.servers": address, "log_level": 2})
        self._made: list[str] = []

    def __call__(self, partitions: int = 1, name: str | None = None, **config: Any) -> str:
        """Make a topic, whose records stay whatever time they carry; `config` with _ for the dots."""
        name = name or f"test-{os.getpid()}-{next(_numbers)}"
        self.create(name, partitions, **config)
        self._made.append(name)
        return name

    def create(self, name: str, partitions: int = 1, **config: Any) -> None:
        """Create a topic that was removed, or that another client creates too."""
        settings = {"retention.ms": "-1"} | {
            key.replace("_", "."): str(value) for key, value in config.items()
        }
        new = NewTopic(name, partitions, 1, config=settings)
        self.admin.create_topics([new], operation_timeout=TIMEOUT)[name].result(TIMEOUT)
        # The controller has it; the broker gets it a moment later. Every question is a round trip.
        while name not in self.admin.list_topics(timeout=TIMEOUT).topics:
            pass

    def delete(self, name: str) -> None:
        """Delete a topic and wait until it is gone."""
        self._made.remove(name)
        self.admin.delete_topics([name], operation_timeout=TIMEOUT)[name].result(TIMEOUT)

    def delete_all(self) -> None:
        """Delete what is left of those made here."""
        for name in list(self._made):
            self.delete(name)


def _entered(manager: AbstractContextManager[T]) -> T:
    """Start a broker, or fail with the one line that says what is missing."""
    try:
        return manager.__enter__()
    except ConfigError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The address of a broker: the one `PIPELINE_TEST_KAFKA` names, else one started here."""
    given = os.environ.get("PIPELINE_TEST_KAFKA")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="pipeline-kafka-"))
    broker = _entered(EmbeddedKafka(folder))
    yield broker.address()
    broker.kill()  # at once: nothing of it is needed
    shutil.rmtree(folder)


@pytest.fixture
def topic(kafka: str) -> Iterator[Topics]:
    """Makes topics on the broker of `kafka` that are gone after the test."""
    topics = Topics(kafka)
    yield topics
    topics.delete_all()


@pytest.fixture(scope="session")
def disturbed_kafka() -> Iterator[tuple[EmbeddedKafka, KafkaProxy]]:
    """One broker, and a network in front of its listener `PROXIED`, for the tests that disturb either."""
    folder = Path(tempfile.mkdtemp(prefix="pipeline-kafka-"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with KafkaProxy(("127.0.0.1", port)) as proxy:
        proxied = Listener("PROXIED", port=port, advertised_port=proxy.port)
        broker = _entered(EmbeddedKafka(folder, listeners=[proxied]))
        yield broker, proxy
        broker.kill()  # at once, also one that a failed test has left suspended
    shutil.rmtree(folder)


@pytest.fixture
def crashable_kafka(disturbed_kafka: tuple[EmbeddedKafka, KafkaProxy]) -> Iterator[EmbeddedKafka]:
    """A broker that a test may kill; the next one finds it running again."""
    broker, _ = disturbed_kafka
    yield broker
    if not broker.running:
        broker.start()


@pytest.fixture
def kafka_proxy(disturbed_kafka: tuple[EmbeddedKafka, KafkaProxy]) -> Iterator[KafkaProxy]:
    """The network before `crashable_kafka.address("PROXIED")`; sound again after the test."""
    _, proxy = disturbed_kafka
    yield proxy
    proxy.heal()
