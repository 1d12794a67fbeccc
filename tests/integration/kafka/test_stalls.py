"""A client that waits in vain is told from brokers that are away, at each of its calls, and replaced.

Its connections are dead, which it does not notice for a minute; a new client is served at once. And a
broker is suspended while jobs write: `PIPELINE_FREEZES` sets how often; 100 times in `make soak`.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import KafkaSink, KafkaSource
from connectors.kafka import admin, fetch_watch, stalls
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.witness import Witness
from pipeline import JobStatus, RestartStrategy
from pipeline.core.errors import SinkError
from pipeline.runtime.events import CheckpointCompleted
from pipeline.spi.sink import CommitOutcome
from pipeline.testing import source_driver
from pipeline.testing.connectors import SourceDriver
from pipeline.testing.drivers import LogShelf, VerificationSinkContext
from tests.integration.kafka.conftest import write_to
from tests.integration.kafka.readers import read_committed
from tests.integration.kafka.running import EPOCH, Numbers, Running
from tests.kafka_broker import Topics
from tests.tcp_proxy import TcpProxy

LONG = int(os.environ.get("PIPELINE_KILLS", "3")) >= 100
FREEZES = int(os.environ.get("PIPELINE_FREEZES", "100" if LONG else "3"))
FROZEN_S = (1.2, 2.0)
"""Around the 1.5 s after which the controller drops the test's broker: there clients hang.

Kafka's default is 9 s, hence the freezes of about ten seconds that were reported.
"""

AGAIN_S = 60
"""Far more than a job takes to get over a freeze, far less than the 300 s for which it can hang."""

SOON = timedelta(milliseconds=200)

UNNOTICED = {"socket.timeout.ms": 60_000}


@pytest.fixture
def name(crashable_kafka: EmbeddedKafka) -> Iterator[str]:
    topics = Topics(crashable_kafka.address())
    yield topics()
    crashable_kafka.resume()
    topics.delete_all()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stalls, "_OVERDUE_MS", 500)
    monkeypatch.setattr(stalls, "_GRACE_MS", 500)
    monkeypatch.setattr(admin, "FIRST_TRY", 1.0)


def visible(broker: EmbeddedKafka, name: str) -> list[Any]:
    return [json.loads(value) for value in read_committed(broker.address(), name)]


class Sinks:
    """Sinks of one job, of which each takes over from the one before."""

    def __init__(self, broker: EmbeddedKafka, name: str) -> None:
        self._broker = broker
        self._name = name
        self._logs = LogShelf()
        self._opened: list[KafkaSink] = []

    def open(self, listener: str = "PROXIED", **arguments: Any) -> KafkaSink:
        address = self._broker.address(listener)
        arguments = {"config": UNNOTICED, **arguments}
        sink = KafkaSink(self._name, bootstrap_servers=address, transactional_id=self._name, **arguments)
        self._opened.append(sink)
        sink.open(VerificationSinkContext(attempt=len(self._opened), logs=self._logs))
        return sink

    def close(self) -> None:
        for sink in self._opened:
            sink.close()


@pytest.fixture
def sinks(crashable_kafka: EmbeddedKafka, name: str, impatient: None) -> Iterator[Sinks]:
    opened = Sinks(crashable_kafka, name)
    yield opened
    opened.close()


def begin(sink: KafkaSink, records: range = range(5)) -> Any:
    """Write records of an epoch."""
    txn = sink.begin_transaction()
    sink.invoke_batch(txn, records, VerificationSinkContext())
    return txn


def commit(sink: KafkaSink, handle: Any) -> CommitOutcome:
    """Commit, trying again as the engine does."""
    while (outcome := sink.commit(handle)) is CommitOutcome.RETRY:
        pass
    return outcome


@pytest.mark.parametrize("guarantee", ["exactly-once", "at-least-once"])
def test_a_flush_ends(guarantee: str, kafka_proxy: TcpProxy, sinks: Sinks) -> None:
    sink = sinks.open(guarantee=guarantee)
    sink.recover_and_abort([])
    txn = begin(sink)
    sink.flush()
    kafka_proxy.forget_connections()
    sink.invoke_batch(txn, [7], VerificationSinkContext())
    with pytest.raises(SinkError, match="cannot flush: the client hangs") as error:
        sink.flush()
    assert error.value.retryable


def test_a_wait_for_room_ends(kafka_proxy: TcpProxy, sinks: Sinks) -> None:
    sink = sinks.open(config={**UNNOTICED, "queue.buffering.max.messages": 10})
    sink.recover_and_abort([])
    txn = begin(sink)
    sink.flush()
    kafka_proxy.forget_connections()
    with pytest.raises(SinkError, match="cannot write: the client hangs") as error:
        sink.invoke_batch(txn, range(100), VerificationSinkContext())
    assert error.value.retryable


def test_a_mark_ends(kafka_proxy: TcpProxy, sinks: Sinks) -> None:
    """The question whether the topics are the same is asked again by a new client, and answered."""
    sink = sinks.open()
    sink.recover_and_abort([])
    txn = begin(sink)
    sink.flush()
    kafka_proxy.forget_connections()
    with pytest.raises(SinkError, match="cannot mark a transaction: the client hangs") as error:
        sink.pre_commit(txn)
    assert error.value.retryable


def test_a_commit_ends_and_the_next_run_finds_out(
    kafka_proxy: TcpProxy, sinks: Sinks, crashable_kafka: EmbeddedKafka, name: str
) -> None:
    sink = sinks.open()
    sink.recover_and_abort([])
    handle: Any = sink.pre_commit(begin(sink))
    kafka_proxy.forget_connections()
    with pytest.raises(SinkError, match="cannot commit a transaction: the client hangs") as error:
        commit(sink, handle)
    assert error.value.retryable
    heir = sinks.open()
    assert heir.recover_and_commit(handle) in (CommitOutcome.COMMITTED, CommitOutcome.ALREADY_COMMITTED)
    assert visible(crashable_kafka, name) == [*range(5)]


def test_brokers_that_are_away_are_still_waited_for(
    kafka_proxy: TcpProxy,
    sinks: Sinks,
    crashable_kafka: EmbeddedKafka,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They answer no other client either: nothing is given up, and the same client continues."""
    sink = sinks.open(config={"socket.timeout.ms": 1000})
    sink.recover_and_abort([])
    answers: list[bool] = []
    asked = threading.Event()
    leaders_answer = Witness.leaders_answer

    def ask(witness: Witness, topics: Collection[str]) -> bool:
        answers.append(leaders_answer(witness, topics))
        if len(answers) == 3:
            asked.set()
        return answers[-1]

    monkeypatch.setattr(Witness, "leaders_answer", ask)
    txn = begin(sink)
    kafka_proxy.blackhole()
    with ThreadPoolExecutor(1) as pool:
        flushed = pool.submit(sink.flush)
        assert asked.wait(60)
        assert answers == [False] * 3
        kafka_proxy.heal()
        flushed.result(60)
    assert commit(sink, sink.pre_commit(txn)) is CommitOutcome.COMMITTED
    assert visible(crashable_kafka, name) == [*range(5)]


def test_a_source_reads_on_with_a_new_client(
    kafka_proxy: TcpProxy,
    crashable_kafka: EmbeddedKafka,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """From its position: nothing is lost or read twice."""
    monkeypatch.setattr(fetch_watch, "_EVERY_MS", 500)
    monkeypatch.setattr(source_driver, "PATIENCE_S", 60)  # the asking client is replaced, too
    write_to(crashable_kafka.address(), name, range(10))
    address = crashable_kafka.address("PROXIED")
    with SourceDriver(KafkaSource(name, bootstrap_servers=address, config=UNNOTICED)) as driver:
        assert driver.take(10) == [*range(10)]
        kafka_proxy.forget_connections()
        driver.request(10)
        write_to(crashable_kafka.address(), name, range(10, 20))
        driver.wait_until_emitted(20)
    assert driver.emitted == [*range(20)]
    assert "hangs, though the brokers answer another one: it is replaced" in caplog.text


@pytest.mark.usefixtures("impatient")
def test_a_job_with_dead_connections_continues_with_new_ones(
    kafka_proxy: TcpProxy, crashable_kafka: EmbeddedKafka, name: str, tmp_path: Path
) -> None:
    numbers = Numbers(2_000)
    sink = KafkaSink(
        name,
        bootstrap_servers=crashable_kafka.address("PROXIED"),
        transactional_id=name,
        config=UNNOTICED,
    )
    job = Running(name, numbers, sink, tmp_path)
    job.wait_reached()
    kafka_proxy.forget_connections()
    job.go_on()
    assert job.join().status is JobStatus.COMPLETED
    assert len(job.restarts) == 1
    assert "the client hangs" in job.restarts[0]
    assert visible(crashable_kafka, name) == [*range(2_000)]


class Paced(Running):
    """A job that takes one epoch after the other, whose checkpoints can be waited for."""

    def __init__(self, name: str, numbers: Numbers, sink: KafkaSink, folder: Path) -> None:
        self._more = threading.Condition()
        self._source = numbers
        self.checkpoints = 0
        numbers.allow(EPOCH)
        restart = RestartStrategy.fixed_delay(10 * FREEZES, SOON)
        super().__init__(name, numbers, sink, folder, after=None, restart=restart)

    def wait_for(self, more: int) -> bool:
        """Wait until that many more are complete; False if that takes far too long."""
        with self._more:
            wanted = self.checkpoints + more
            return self._more.wait_for(lambda: self.checkpoints >= wanted, AGAIN_S)

    def _listen(self, event: Any) -> None:
        super()._listen(event)
        if isinstance(event, CheckpointCompleted):
            self._source.allow(self._source.taken + EPOCH)
            with self._more:
                self.checkpoints += 1
                self._more.notify_all()


@pytest.mark.timeout(7200)
def test_a_broker_that_stands_still_holds_a_job_up_little_longer(
    crashable_kafka: EmbeddedKafka, kafka_proxy: TcpProxy, name: str, tmp_path: Path
) -> None:
    """Whatever the client makes of it, which is often to wait for minutes: nothing is lost or repeated."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    numbers = Numbers(1 << 40)
    sink = KafkaSink(
        name,
        bootstrap_servers=crashable_kafka.address(),
        transactional_id=name,
        config={"socket.timeout.ms": 1000},
    )
    job = Paced(name, numbers, sink, tmp_path)
    stood: list[float] = []
    for number in range(FREEZES):
        assert job.wait_for(rng.randint(1, 20)), f"seed {seed}: {job.events[-5:]}"
        crashable_kafka.suspend()
        kafka_proxy.wait_cut(rng.uniform(*FROZEN_S))  # nothing is cut: this is how long it is suspended
        crashable_kafka.resume()
        back = time.monotonic()
        assert job.wait_for(3), f"seed {seed}, freeze {number}: {job.events[-5:]}"
        stood.append(time.monotonic() - back)
    job.control.stop()
    assert job.join().status is JobStatus.CANCELLED
    assert visible(crashable_kafka, name) == [*range(numbers.taken)], f"seed {seed}"
    stood.sort()
    print(f"{FREEZES} freezes, {len(job.restarts)} restarts; three checkpoints later after (s):")
    print(f"median {stood[len(stood) // 2]:.1f}, most {stood[-1]:.1f}; seed {seed}")
