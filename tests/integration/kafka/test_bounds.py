"""Where a source begins and ends on a real broker: looked up once, and kept over restarts and runs."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors import KafkaSink, KafkaSource
from connectors.kafka.bounds import Start
from pipeline.core.errors import ConfigError, SourceError
from pipeline.core.job import JobStatus
from pipeline.testing import ManualClock
from pipeline.testing.connectors import SourceDriver
from tests.integration.kafka.conftest import Write
from tests.integration.kafka.readers import read_committed
from tests.integration.kafka.running import Running
from tests.integration.kafka.windowing import QUICK
from tests.kafka_broker import Topics

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OLD = 1_000
"""The timestamp of what is written, milliseconds UTC; that it is old does not matter to an offset."""

NEVER = 1_000_000
"""Rows of a checkpoint that no test comes to: the only ones are the first and the last."""


@pytest.fixture(autouse=True)
def _broker(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs of these tests find their broker as the users' do."""
    monkeypatch.setenv("PIPELINE_KAFKA", kafka)


class Decoding:
    """The format of whole numbers; says which have been decoded, and fails one attempt at `fails_at`."""

    def __init__(self, fails_at: int | None = None) -> None:
        self._fails_at = fails_at
        self._failures = 2  # with the batch that it is in, and when that is decoded one by one
        self._changed = threading.Condition()
        self._decoded: set[int] = set()

    def __call__(self, data: bytes) -> int:
        value = int(data)
        with self._changed:
            if value == self._fails_at and self._failures:
                self._failures -= 1
                raise SourceError("the registry went away", retryable=True)
            self._decoded.add(value)
            self._changed.notify_all()
        return value

    def wait(self, value: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: value in self._decoded, 30), f"{value} was not read"


def commit(kafka: str, group: str, topic: str, offset: int) -> None:
    """Move a group, as any other consumer may."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


# --- the start ---------------------------------------------------------------------------------------

STARTS = pytest.mark.parametrize("start", ["latest", "group", EPOCH + timedelta(minutes=1)])
"""Each of them is another place when it is looked up later."""


def source(topic: str, start: Start, decoding: Decoding) -> KafkaSource[Any]:
    return KafkaSource(topic, start=start, group_id=topic, value=decoding, config=QUICK)


@STARTS
def test_a_killed_run_continues_from_where_it_began(
    topic: Topics, write: Write, kafka: str, tmp_path: Path, start: Start
) -> None:
    """The start is in a checkpoint before anything else; ten records came before the kill, five after."""
    read, written = topic(), topic()
    write(read, range(5), timestamp=OLD)
    commit(kafka, read, read, 5)
    decoding = Decoding()
    first = Running(
        "starts", source(read, start, decoding), KafkaSink(written), tmp_path, after=1, rows=NEVER
    )
    first.wait_reached()
    write(read, range(5, 15), timestamp=OLD)
    decoding.wait(14)
    first.control.abort()
    assert first.join().checkpoints == 1
    commit(kafka, read, read, 15)
    write(read, range(15, 20), timestamp=OLD)
    second = Running(
        "starts", source(read, start, decoding), KafkaSink(written), tmp_path, after=None, rows=NEVER
    )
    decoding.wait(19)
    second.control.stop()
    assert second.join().restored_from == 1
    assert [int(value) for value in read_committed(kafka, written)] == list(range(5, 20))


@STARTS
def test_a_restart_continues_from_where_the_run_began(
    topic: Topics, write: Write, kafka: str, tmp_path: Path, start: Start
) -> None:
    read, written = topic(), topic()
    write(read, range(5), timestamp=OLD)
    commit(kafka, read, read, 5)
    decoding = Decoding(fails_at=15)
    running = Running(
        "restarts", source(read, start, decoding), KafkaSink(written), tmp_path, after=1, rows=NEVER
    )
    running.wait_reached()
    write(read, range(5, 15), timestamp=OLD)
    decoding.wait(14)
    commit(kafka, read, read, 15)
    write(read, range(15, 20), timestamp=OLD)
    decoding.wait(19)
    running.control.stop()
    assert running.join().restarts == 1
    assert [int(value) for value in read_committed(kafka, written)] == list(range(5, 20))


def test_a_start_in_the_future_is_refused(topic: Topics) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with (
        pytest.raises(ConfigError, match="is in the future"),
        SourceDriver(KafkaSource(topic(), start=tomorrow, config=QUICK)) as driver,
    ):
        driver.take(1)


# --- the stop ----------------------------------------------------------------------------------------


def test_a_stop_in_the_future_is_awaited(
    topic: Topics, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes until then is read: up to the first record of that time, or until the clock says so."""
    clock, name = ManualClock(), topic(2)
    monkeypatch.setattr("connectors.kafka.reading.SystemClock", lambda: clock)
    write(name, [0, 1], timestamp=OLD)
    stop = EPOCH + timedelta(minutes=1)
    with SourceDriver(KafkaSource(name, stop=stop, config=QUICK)) as driver:
        assert driver.take(2) == [0, 1]
        driver.request(100)
        write(name, [2], timestamp=OLD)
        write(name, [3], timestamp=60_000)
        write(name, [4], timestamp=OLD)
        write(name, [10, 11], partition=1, timestamp=OLD)
        driver.wait_until_emitted(5)
        driver.wait_until_ended_splits(1)
        assert not driver.ended
        assert driver.heard.ended_splits == {f"{name}-0"}
        clock.advance(timedelta(minutes=1))
        driver.wait_until_idle()
        assert driver.ended
        assert sorted(driver.emitted) == [0, 1, 2, 10, 11]


def test_a_restart_ends_where_the_first_start_would_have(topic: Topics, write: Write) -> None:
    """Else records would follow in a partition whose end event time has passed."""
    name = topic(2)
    write(name, range(5))
    write(name, [10], partition=1)
    source = KafkaSource(name, stop="latest", config=QUICK)
    with SourceDriver(source, batch_limit=2) as driver:
        driver.take(2)
        snapshot = driver.snapshot()
        read = list(driver.emitted)
    write(name, range(5, 8))
    write(name, [11], partition=1)
    with SourceDriver(source, snapshot) as driver:
        while driver.take(10):
            pass
        assert sorted(read + driver.emitted) == [0, 1, 2, 3, 4, 10]


def test_a_job_whose_input_ends_in_the_future_completes(
    topic: Topics, write: Write, kafka: str, tmp_path: Path
) -> None:
    """At the first record of that time, whatever the clock says."""
    read, written = topic(), topic()
    stop = datetime.now(UTC) + timedelta(hours=1)
    write(read, [0, 1], timestamp=OLD)
    decoding = Decoding()
    source = KafkaSource(read, stop=stop, value=decoding, config=QUICK)
    running = Running("until", source, KafkaSink(written), tmp_path, after=None, rows=NEVER)
    decoding.wait(1)
    write(read, [2, 3], timestamp=OLD)
    write(read, [4], timestamp=round(stop.timestamp() * 1000) + 1)
    assert running.join().status is JobStatus.COMPLETED
    assert [int(value) for value in read_committed(kafka, written)] == [0, 1, 2, 3]
