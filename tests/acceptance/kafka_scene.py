"""The job from numbers to a topic and to files, and what it must come to whatever happens to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.kafka_broker import Topics

from .kafka_topic import Topic
from .numbers_job import expected, write_input

COUNT = 1000
FOREIGN_SOCKETS = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
"""kafka-python leaves the socket of a probe to the garbage collector now and then."""


@pytest.fixture
def scene(kafka: str, topic: Topics, workshop: Callable[..., Any]) -> Callable[..., tuple[Any, Topic]]:
    """Makes a workshop with input, and the topic its job writes to."""

    def make(count: int = COUNT, **environment: str) -> tuple[Any, Topic]:
        target = Topic(kafka, topic(partitions=2))
        settings = {"PIPELINE_KAFKA": kafka, "TOPIC": target.name, "PACE": "0.0001", **environment}
        shop = workshop("kafka", **settings)
        write_input(shop.folder, count)
        return shop, target

    return make


def finish(shop: Any, target: Topic, what: object, count: int = COUNT) -> None:
    """Complete the job: both sinks have everything, once."""
    target.expect_prefix(what)
    shop.complete(PACE="0")
    expect_complete(shop, target, what, count)


def expect_complete(shop: Any, target: Topic, what: object, count: int = COUNT) -> None:
    target.expect_all(count, what)
    assert rows(shop) == expected(count)["numbers.csv"].splitlines()[1:], what
    assert target.open_transactions() == [], what


def rows(shop: Any) -> list[bytes]:
    """The rows of all part files, without their headers."""
    lines = shop.outputs()["numbers.csv"].splitlines()
    return [line for line in lines if not line.startswith(b"n")]
