"""Event time over Kafka's partitions: which of them it waits for, and which it must not wait for.

Covers of FAULTS: idle partitions; a backlog after an outage; partitions added.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.cimpl import NewPartitions

from connectors import KafkaSource
from connectors.kafka.embedded import EmbeddedKafka
from pipeline import SlidingTimeWindows, TumblingTimeWindows
from pipeline.core.errors import CheckpointError, UserFunctionError
from pipeline.core.policy import ErrorPolicy
from pipeline.testing import ManualClock
from pipeline.testing.connectors import SourceDriver
from tests.integration.kafka.conftest import Write, write_to
from tests.integration.kafka.windowing import MONOTONIC, QUICK, Sums, rec, recs
from tests.kafka_broker import TIMEOUT, Topics
from tests.tcp_proxy import TcpProxy

SOON = timedelta(milliseconds=20)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _broker(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sources of these tests find their broker as jobs do."""
    monkeypatch.setenv("PIPELINE_KAFKA", kafka)


# --- silence ---------------------------------------------------------------------------------------


def test_records_that_wait_to_be_read_are_no_silence(topic: Topics, write: Write, tmp_path: Path) -> None:
    """However short the idleness: a partition whose first answer is still to come is waited for."""
    name, sums = topic(3), Sums("backlog", tmp_path)
    for partition in range(3):
        write(name, recs(0, 5_000), partition=partition)
    sums.start(
        KafkaSource(name, stop="latest", config=QUICK),
        watermarks=MONOTONIC.with_idleness(timedelta(milliseconds=1)),
    )
    assert sums.join().late_records == 0
    assert sums.windows == dict.fromkeys(range(0, 5_000, 10), 30)


def test_an_empty_partition_is_idle(topic: Topics, write: Write, tmp_path: Path) -> None:
    name, clock = topic(2), ManualClock()
    sums = Sums("idle", tmp_path, clock)
    write(name, recs(0, 11))
    sums.start(KafkaSource(name, config=QUICK), watermarks=MONOTONIC.with_idleness(timedelta(seconds=3)))
    sums.wait_read(11)
    clock.advance(timedelta(seconds=3))
    sums.wait_fired(1)
    sums.stop()
    assert sums.windows == {0: 10}


def test_a_broker_that_hangs_makes_no_partition_idle(
    crashable_kafka: EmbeddedKafka, kafka_proxy: TcpProxy, tmp_path: Path
) -> None:
    """What was written meanwhile comes partition by partition when it is back, and none of it is late."""
    clock, direct = ManualClock(), crashable_kafka.address()
    name, sums = Topics(direct)(3), Sums("frozen", tmp_path, clock)
    for partition in range(3):
        write_to(direct, name, recs(0, 5), partition=partition)
    source = KafkaSource(
        name,
        bootstrap_servers=crashable_kafka.address("PROXIED"),
        stop={name: dict.fromkeys(range(3), 2_000)},
        config=QUICK,
    )
    sums.start(source, watermarks=MONOTONIC.with_idleness(timedelta(seconds=3)))
    sums.wait_read(15)
    kafka_proxy.blackhole()
    for partition in range(3):
        write_to(direct, name, recs(5, 2_000), partition=partition)
    clock.advance(timedelta(seconds=8))
    kafka_proxy.heal()
    assert sums.join().late_records == 0
    assert sums.windows == dict.fromkeys(range(0, 2_000, 10), 30)


def test_a_partition_that_was_idle_is_waited_for_after_a_restart(
    topic: Topics, write: Write, tmp_path: Path
) -> None:
    """It got records while the job was down: they are older than those of the other, and not late."""
    name, clock = topic(2), ManualClock()
    sums = Sums("restarted", tmp_path, clock)
    strategy = MONOTONIC.with_idleness(timedelta(seconds=3))
    write(name, recs(0, 100))
    write(name, recs(0, 50), partition=1)
    sums.start(KafkaSource(name, config=QUICK), watermarks=strategy)
    sums.wait_fired(4)
    clock.advance(timedelta(seconds=3))
    sums.wait_fired(9)
    assert sums.stop().late_records == 0
    for partition in range(2):
        write(name, recs(100, 200), partition=partition)
    sums.start(KafkaSource(name, config=QUICK), watermarks=strategy)
    sums.wait_fired(9)
    assert sums.stop().late_records == 0
    assert sums.windows == {start: 20 if start < 50 or start >= 100 else 10 for start in range(0, 190, 10)}


# --- partitions that come and go ---------------------------------------------------------------------


def test_a_topic_that_is_no_longer_read_does_not_hold_event_time(
    topic: Topics, write: Write, tmp_path: Path
) -> None:
    read, dropped = topic(), topic()
    sums = Sums("fewer", tmp_path)
    write(read, recs(0, 20))
    write(dropped, recs(0, 5))
    sums.start(KafkaSource([read, dropped], config=QUICK))
    sums.wait_read(25)
    sums.stop()
    write(read, recs(20, 31))
    sums.start(KafkaSource(read, config=QUICK))
    sums.wait_fired(3)
    assert sums.stop().late_records == 0
    assert sums.windows == {0: 15, 10: 10, 20: 10}


def test_a_partition_read_to_its_end_does_not_hold_the_others_back(
    topic: Topics, write: Write, tmp_path: Path
) -> None:
    """A window fires while the other partition is still read; else state would grow with the input."""
    name, sums = topic(2), Sums("ended", tmp_path)
    write(name, [rec(0)], partition=1)
    write(name, recs(0, 21))
    sums.start(KafkaSource(name, stop={name: {0: 40, 1: 1}}, config=QUICK))
    sums.wait_fired(2)
    write(name, recs(21, 40))
    assert sums.join().late_records == 0
    assert sums.windows == {0: 11, 10: 10, 20: 10, 30: 10}


def test_a_partition_added_to_a_running_job_is_waited_for_once_it_is_found(
    topic: Topics, write: Write, tmp_path: Path
) -> None:
    """What it holds by then is not late unless event time has passed it already."""
    name, sums = topic(), Sums("added", tmp_path)
    write(name, recs(0, 2))
    sums.start(KafkaSource(name, discovery_interval=SOON, config=QUICK))
    sums.wait_read(2)
    more = NewPartitions(name, 2)
    topic.admin.create_partitions([more], operation_timeout=TIMEOUT)[name].result(TIMEOUT)
    write(name, recs(2, 50), partition=1)
    sums.wait_read(50)
    write(name, recs(2, 50))
    sums.wait_fired(4)
    assert sums.stop().late_records == 0
    assert sums.windows == {0: 18, 10: 20, 20: 20, 30: 20}


# --- windows that change -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "described"),
    [
        (TumblingTimeWindows.of(MINUTE / 3), "tumbling 20 s"),
        (TumblingTimeWindows.of(MINUTE, MINUTE / 2), "tumbling 1 min, offset 30 s"),
        (SlidingTimeWindows.of(MINUTE, MINUTE / 3), "sliding 1 min every 20 s"),
    ],
)
def test_other_windows_than_those_of_the_checkpoint_are_refused(
    topic: Topics, write: Write, tmp_path: Path, after: Any, described: str
) -> None:
    """Records of the old ones would vanish; put back as they were, the job continues with all of them."""
    name, sums = topic(), Sums("changed", tmp_path)
    write(name, recs(0, 31))
    sums.start(KafkaSource(name, config=QUICK), windows=TumblingTimeWindows.of(MINUTE))
    sums.wait_read(31)
    sums.stop()
    with pytest.raises(CheckpointError, match=rf"'sum' in windows \(tumbling 1 min, .*\({described}, event"):
        sums.start(KafkaSource(name, config=QUICK), windows=after).join()
    write(name, recs(31, 61))
    sums.start(KafkaSource(name, config=QUICK), windows=TumblingTimeWindows.of(MINUTE))
    sums.wait_fired(1)
    assert sums.stop().late_records == 0
    assert sums.windows == {0: 60}


# --- records without a time ----------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [None, {"v": 1}, {"ts": "noon", "v": 1}])
def test_a_record_without_a_time_does_not_fail_every_start(
    topic: Topics, write: Write, tmp_path: Path, bad: Any
) -> None:
    """A tombstone, one without the field, one in which it is something else."""
    name, sums = topic(), Sums("timeless", tmp_path)
    write(name, [*recs(0, 5), bad, *recs(5, 21)])
    with pytest.raises(UserFunctionError, match="on_error=ErrorPolicy") as failed:
        sums.start(KafkaSource(name, stop="latest", config=QUICK)).join()
    assert failed.value.position == f"{name}-0@5"
    skipping = replace(MONOTONIC, on_error=ErrorPolicy.skip())
    done = sums.start(KafkaSource(name, stop="latest", config=QUICK), watermarks=skipping).join()
    assert (done.failed_records, done.late_records) == (1, 0)
    assert sums.windows == {0: 10, 10: 10, 20: 1}


# --- what the source answers -------------------------------------------------------------------------


def test_an_ended_partition_is_reported_and_a_silent_one_is_checked(topic: Topics, write: Write) -> None:
    name = topic(3)
    write(name, [1])
    source = KafkaSource(name, stop={name: {0: 1, 1: 5, 2: 0}}, config=QUICK)
    with SourceDriver(source) as driver:
        driver.take(1)
        driver.request(10)
        assert not driver.ask_about(f"{name}-1")
        assert driver.heard.ended_splits == {f"{name}-0", f"{name}-2"}
