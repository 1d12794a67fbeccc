"""Brokers without transactions: exactly once is refused at the start, by name, never given up silently."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors import FileSource, KafkaSink
from connectors.kafka import producers
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.errors import ANSWER_TIMEOUT
from pipeline import JobConfig, JobStatus, RestartStrategy, StreamJob
from pipeline.core.errors import Fault, SinkError
from pipeline.runtime.control import JobControl
from pipeline.runtime.events import StatusChanged
from tests.integration.kafka.readers import read_committed
from tests.kafka_broker import TIMEOUT, Topics
from tests.old_kafka import OldKafka

COUNT = 10
START_S = 4.0
"""Instead of half a minute: what these brokers lack does not come."""


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """One broker of three: it serves everything but transactions, which are to be kept three times."""
    settings = {"transaction.state.log.replication.factor": "3"}
    with EmbeddedKafka(tmp_path_factory.mktemp("few") / "broker", settings=settings) as broker:
        yield broker


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldKafka]:
    with OldKafka(tmp_path_factory.mktemp("old")) as broker:
        yield broker


def build(
    address: str, topic: str, folder: Path, guarantee: Literal["exactly-once", "at-least-once"]
) -> StreamJob:
    (folder / "in.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(COUNT)))
    config = JobConfig(
        checkpoint_dir=folder / "checkpoints",
        restart=RestartStrategy.fixed_delay(10, timedelta(milliseconds=10)),
    )
    sink = KafkaSink(topic, bootstrap_servers=address, guarantee=guarantee)
    job = StreamJob(topic, config)
    job.source(FileSource(folder / "in.csv")).map(lambda row: int(row["n"])).sink(sink)
    return job


def test_exactly_once_is_refused_by_name(
    few: EmbeddedKafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written, and without a second try: the brokers will not be more by themselves."""
    monkeypatch.setattr(producers, "START_TIMEOUT", START_S)
    topic = Topics(few.address())()
    events: list[Any] = []
    with pytest.raises(SinkError, match="cannot begin transactions: expected the topic __trans") as caught:
        build(few.address(), topic, tmp_path, "exactly-once").execute(listeners=[events.append])
    error = caught.value
    assert error.fault is Fault.ENVIRONMENT
    assert error.hint is not None
    assert "at-least-once" in error.hint
    assert "Restarting" not in [type(event).__name__ for event in events]
    assert read_committed(few.address(), topic) == []


@pytest.mark.parametrize("guarantee", ["exactly-once", "at-least-once"])
def test_a_broker_that_is_too_old_is_refused_by_name(
    old: OldKafka, tmp_path: Path, guarantee: Literal["exactly-once", "at-least-once"]
) -> None:
    """At once: from before transactions, and before producers that repeat nothing either."""
    topic = Topics(old.address)()
    began = time.monotonic()
    with pytest.raises(SinkError, match=r"requires broker version.*Kafka 2\.5 or newer is needed") as caught:
        build(old.address, topic, tmp_path, guarantee).execute()
    assert time.monotonic() - began < ANSWER_TIMEOUT
    assert caught.value.fault is Fault.ENVIRONMENT
    assert not caught.value.retryable
    consumer = Consumer({"bootstrap.servers": old.address, "group.id": "count"})
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=TIMEOUT) == (0, 0)
    consumer.close()


def test_at_least_once_needs_none(few: EmbeddedKafka, tmp_path: Path) -> None:
    """What the error advises works."""
    topic = Topics(few.address())()
    assert build(few.address(), topic, tmp_path, "at-least-once").execute().status is JobStatus.COMPLETED
    assert len(read_committed(few.address(), topic)) == COUNT


def test_a_start_that_waits_can_be_stopped(few: EmbeddedKafka, tmp_path: Path) -> None:
    """While the brokers are asked for a transaction, for half a minute: gone within five seconds."""
    topic = Topics(few.address())()
    control = JobControl()
    aborted_at: list[float] = []

    def abort() -> None:
        aborted_at.append(time.monotonic())
        control.abort()

    def listen(event: Any) -> None:
        if isinstance(event, StatusChanged) and event.phase == "RESTORE":
            timer.start()

    timer = threading.Timer(0.5, abort)  # it waits by then; if not, it is to be stopped all the same
    job = build(few.address(), topic, tmp_path, "exactly-once")
    assert job.execute(listeners=[listen], control=control).status is JobStatus.CANCELLED
    timer.join()
    assert time.monotonic() - aborted_at[0] < 5
