"""A broker that goes away, hangs or loses an answer: the job waits, continues, or ends in time."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from connectors import KafkaSink
from connectors.kafka.embedded import EmbeddedKafka
from pipeline import JobStatus
from pipeline.core.errors import SinkError
from pipeline.spi.sink import CommitOutcome
from pipeline.testing.drivers import LogShelf, VerificationSinkContext
from tests.integration.kafka.readers import read_committed
from tests.integration.kafka.running import ROWS, Numbers, Running
from tests.kafka_broker import Topics
from tests.kafka_proxy import END_TXN, KafkaProxy
from tests.tcp_proxy import TcpProxy

LONG = int(os.environ.get("PIPELINE_KILLS", "3")) >= 100
OUTAGE_S, CUTS = (30, 100) if LONG else (3, 5)
QUEUE_KB = 8_192


@pytest.fixture
def name(crashable_kafka: EmbeddedKafka) -> Iterator[str]:
    topics = Topics(crashable_kafka.address())
    yield topics()
    if crashable_kafka.running:
        crashable_kafka.resume()
    else:
        crashable_kafka.start()
    topics.delete_all()


def visible(broker: EmbeddedKafka, name: str) -> list[Any]:
    return [json.loads(value) for value in read_committed(broker.address(), name)]


def run(
    address: str,
    name: str,
    folder: Path,
    numbers: Numbers,
    *,
    padding: int = 0,
    config: Mapping[str, str] | None = None,
    **how: Any,
) -> Running:
    """Start a job that writes numbers to the topic, or one that completes what an earlier one has left.

    Args:
        padding: bytes that each record has beyond its number, once the job continues.
        config: of its client.
    """
    sink = KafkaSink(
        name,
        bootstrap_servers=address,
        value=lambda n: b"%d" % n + b" " * (padding if numbers.unbounded else 0),  # JSON still
        transactional_id=name,
        commit_timeout=timedelta(seconds=30),
        config={"queue.buffering.max.kbytes": QUEUE_KB, "compression.type": "gzip", **(config or {})},
    )
    return Running(name, numbers, sink, folder, **how)


def test_a_job_outlives_its_broker(crashable_kafka: EmbeddedKafka, name: str, tmp_path: Path) -> None:
    """Killed and started again while the job writes: it continues by itself, nothing lost or repeated."""
    job = run(crashable_kafka.address(), name, tmp_path, Numbers())
    job.wait_reached()
    crashable_kafka.kill()
    job.go_on()
    crashable_kafka.start()
    assert job.join().status is JobStatus.COMPLETED
    assert job.restarts == []
    assert visible(crashable_kafka, name) == [*range(ROWS)]


def test_a_client_that_hangs_is_left_behind(
    crashable_kafka: EmbeddedKafka, name: str, tmp_path: Path
) -> None:
    """It waits for a broker that it has dropped, which this setting lets it do: the job takes a new one."""
    config = {"metadata.recovery.strategy": "rebootstrap"}
    job = run(crashable_kafka.address(), name, tmp_path, Numbers(), config=config)
    job.wait_reached()
    crashable_kafka.kill()
    job.go_on()
    crashable_kafka.start()
    assert job.join().status is JobStatus.COMPLETED
    assert "the client hangs" in job.restarts[0]
    assert visible(crashable_kafka, name) == [*range(ROWS)]


def test_a_network_that_hangs_holds_the_job_up(
    crashable_kafka: EmbeddedKafka, kafka_proxy: TcpProxy, name: str, tmp_path: Path
) -> None:
    """Connections half open for a while: the source is asked for no more than memory is bounded to."""
    count = 300_000
    address = crashable_kafka.address("PROXIED")
    # Over 100 MB when the network is gone, 50 of them before the next barrier, where a sink waits.
    numbers = Numbers(count)
    job = run(address, name, tmp_path, numbers, after=1, rows=50_000, padding=1_000)
    job.wait_reached()
    process = psutil.Process()
    before = process.memory_info().rss
    kafka_proxy.blackhole()
    job.go_on()
    assert not kafka_proxy.wait_cut(OUTAGE_S)
    taken, grown = numbers.taken, (process.memory_info().rss - before) / 1e6
    assert not kafka_proxy.wait_cut(0.5)
    print(f"{taken} of {count} taken, {grown:.1f} MB more in an outage of {OUTAGE_S} s")
    assert taken == numbers.taken < count, "demand has stopped the source"
    assert grown < 30, "megabytes"
    kafka_proxy.heal()
    assert job.join().status is JobStatus.COMPLETED
    assert visible(crashable_kafka, name) == [*range(count)]


@pytest.mark.timeout(1200)
def test_a_job_whose_answers_are_lost_continues(
    crashable_kafka: EmbeddedKafka, kafka_proxy: TcpProxy, name: str, tmp_path: Path
) -> None:
    """The network breaks again and again, after any byte of any answer, commits' among them."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    count = 20_000 * CUTS
    job = run(crashable_kafka.address("PROXIED"), name, tmp_path, Numbers(count))
    job.wait_reached()
    job.go_on()
    for _ in range(CUTS):
        kafka_proxy.cut_after(rng.randint(1, 3000))
        kafka_proxy.wait_cut(1)
        kafka_proxy.heal()
    assert job.join(900).status is JobStatus.COMPLETED
    assert visible(crashable_kafka, name) == [*range(count)]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_job_whose_broker_is_away_can_be_stopped(
    crashable_kafka: EmbeddedKafka, name: str, tmp_path: Path, at_once: bool
) -> None:
    """At once within five seconds, whatever the broker does; the next run completes it."""
    count = 100_000  # more than is in flight when the broker hangs
    job = run(crashable_kafka.address(), name, tmp_path, Numbers(count))
    job.wait_reached()
    crashable_kafka.suspend()
    job.go_on()
    started = time.monotonic()
    if not at_once:
        job.control.stop()
    job.control.abort()
    assert job.join(8).status is JobStatus.CANCELLED
    assert time.monotonic() - started < 8
    crashable_kafka.resume()
    again = run(crashable_kafka.address(), name, tmp_path, Numbers(count), after=None)
    assert again.join().status is JobStatus.COMPLETED
    assert visible(crashable_kafka, name) == [*range(count)]


def test_a_job_that_starts_while_its_broker_is_away_can_be_stopped(
    crashable_kafka: EmbeddedKafka, name: str, tmp_path: Path
) -> None:
    """It waits for an answer before it has begun to read; the next run completes it."""
    job = run(crashable_kafka.address(), name, tmp_path, Numbers())
    job.wait_reached()
    job.control.abort()
    assert job.join().status is JobStatus.CANCELLED
    crashable_kafka.suspend()
    again = run(crashable_kafka.address(), name, tmp_path, Numbers(), after=None)
    with pytest.raises(AssertionError):
        again.join(0.5)
    began = time.monotonic()
    again.control.abort()
    assert again.join(5).status is JobStatus.CANCELLED
    assert time.monotonic() - began < 5
    crashable_kafka.resume()
    assert run(crashable_kafka.address(), name, tmp_path, Numbers(), after=None).join().restarts == 0
    assert visible(crashable_kafka, name) == [*range(ROWS)]


@pytest.fixture
def prepared(
    crashable_kafka: EmbeddedKafka, kafka_proxy: TcpProxy, name: str
) -> Iterator[tuple[KafkaSink, Any, Callable[[str], KafkaSink]]]:
    """A sink across the network with an epoch that waits for its commit; and a way to make its successor."""
    logs = LogShelf()
    opened: list[KafkaSink] = []

    def make(listener: str) -> KafkaSink:
        address = crashable_kafka.address(listener)
        sink = KafkaSink(name, bootstrap_servers=address, transactional_id=name)
        opened.append(sink)
        sink.open(VerificationSinkContext(attempt=len(opened), logs=logs))
        return sink

    sink = make("PROXIED")
    sink.recover_and_abort([])
    txn = sink.begin_transaction()
    sink.invoke_batch(txn, range(5), VerificationSinkContext())
    yield sink, sink.pre_commit(txn), make
    for one in opened:
        one.close()


def test_a_commit_whose_answer_is_lost_is_found_by_its_mark(
    crashable_kafka: EmbeddedKafka, kafka_proxy: KafkaProxy, name: str, prepared: Any
) -> None:
    """The network breaks just before the answer: the broker has committed, nobody knows."""
    sink, handle, successor = prepared
    kafka_proxy.lose_answer_to(END_TXN)
    assert sink.commit(handle) is CommitOutcome.RETRY
    assert kafka_proxy.wait_cut(10)
    heir = successor("PLAINTEXT")
    assert heir.recover_and_commit(handle) is CommitOutcome.ALREADY_COMMITTED
    assert visible(crashable_kafka, name) == [*range(5)]


def test_a_commit_is_tried_again_until_it_is_through(
    crashable_kafka: EmbeddedKafka, kafka_proxy: TcpProxy, name: str, prepared: Any
) -> None:
    """The same one: committed twice it is committed once."""
    sink, handle, _ = prepared
    kafka_proxy.cut_after(1)
    assert sink.commit(handle) is CommitOutcome.RETRY
    kafka_proxy.heal()
    assert committed(sink, handle) in (CommitOutcome.COMMITTED, CommitOutcome.ALREADY_COMMITTED)
    assert visible(crashable_kafka, name) == [*range(5)]


@pytest.mark.timeout(1200)
def test_commits_whose_answers_are_lost_again_and_again(
    crashable_kafka: EmbeddedKafka, kafka_proxy: TcpProxy, name: str, prepared: Any
) -> None:
    """Every commit's answer is cut off; the same sink asks again, or its successor looks it up."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    sink, handle, successor = prepared
    outcomes: Counter[str] = Counter()
    for number in range(CUTS):
        kafka_proxy.cut_after(1)
        assert sink.commit(handle) is CommitOutcome.RETRY, f"seed {seed}"
        assert kafka_proxy.wait_cut(10)
        kafka_proxy.heal()
        how = rng.choice(["asked again", "looked up"])
        if how == "looked up":
            sink.close()
            sink = successor("PROXIED")
            outcome = sink.recover_and_commit(handle)
            sink.recover_and_abort([handle])
        else:
            outcome = committed(sink, handle)
        outcomes[f"{how}: {outcome.value}"] += 1
        txn = sink.begin_transaction()
        sink.invoke_batch(txn, range(5 * number + 5, 5 * number + 10), VerificationSinkContext())
        handle = sink.pre_commit(txn)
    assert committed(sink, handle) is CommitOutcome.COMMITTED
    print(f"seed {seed}: {CUTS} answers lost, {dict(outcomes)}")
    assert visible(crashable_kafka, name) == [*range(5 * CUTS + 5)], f"seed {seed}"


def committed(sink: KafkaSink, handle: Any) -> CommitOutcome:
    """Commit, trying again as the engine does."""
    until = time.monotonic() + 30
    while (outcome := sink.commit(handle)) is CommitOutcome.RETRY:
        assert time.monotonic() < until
    return outcome


def test_a_question_for_the_mark_ends_in_time(kafka_proxy: TcpProxy, prepared: Any) -> None:
    """The network swallows it: a commit is tried again, a recovery ends when it is cancelled."""
    _, handle, successor = prepared
    foreign = {**handle, "number": handle["number"] + 1}  # no transaction of this sink's: to be looked up
    heir = successor("PROXIED")
    heir.recover_and_abort([])
    kafka_proxy.blackhole()
    began = time.monotonic()
    assert heir.commit(foreign) is CommitOutcome.RETRY
    assert time.monotonic() - began < 5
    with ThreadPoolExecutor(1) as pool:
        recovered = pool.submit(heir.recover_and_commit, foreign)
        with pytest.raises(TimeoutError):
            recovered.result(0.5)
        began = time.monotonic()
        heir.cancel()
        with pytest.raises(SinkError, match=r"cannot read the mark.*cancelled") as error:
            recovered.result(30)
        assert time.monotonic() - began < 5
    assert error.value.retryable
