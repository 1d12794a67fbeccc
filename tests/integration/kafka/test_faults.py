"""What a source of Kafka does when the brokers, the network or the topics are not as they were.

Covers of FAULTS 1: broker kill -9 and restart; broker unreachable, half-open TCP; Kafka partitions
added, topic recreated, offset out of range.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psutil
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions

from connectors import KafkaSource
from connectors.kafka.embedded import EmbeddedKafka, Listener
from connectors.kafka.errors import ANSWER_TIMEOUT
from pipeline.core.errors import ConfigError, SourceError
from pipeline.testing.connectors import SourceDriver
from tests.integration.kafka.conftest import Write, self_signed, write_to
from tests.kafka_broker import TIMEOUT, Topics
from tests.tcp_proxy import TcpProxy

SOON = timedelta(milliseconds=50)
OUTAGE_S = 30 if int(os.environ.get("PIPELINE_KILLS", "3")) >= 100 else 3


@pytest.fixture
def crashable_topic(crashable_kafka: EmbeddedKafka) -> str:
    return Topics(crashable_kafka.address())()


# --- brokers that are away -----------------------------------------------------------------------


def test_a_killed_broker_is_waited_for(crashable_kafka: EmbeddedKafka, crashable_topic: str) -> None:
    """It comes back and the source continues by itself, nothing lost and nothing twice."""
    address = crashable_kafka.address()
    write_to(address, crashable_topic, range(10))
    with SourceDriver(KafkaSource(crashable_topic, bootstrap_servers=address)) as driver:
        assert driver.take(10) == list(range(10))
        driver.request(10)
        crashable_kafka.kill()
        crashable_kafka.start()
        write_to(address, crashable_topic, range(10, 20))
        driver.wait_until_emitted(20)
    assert driver.emitted == list(range(20))


def test_a_network_that_swallows_everything_is_waited_for(
    crashable_kafka: EmbeddedKafka, crashable_topic: str, kafka_proxy: TcpProxy
) -> None:
    """Half-open: the connection is up, nothing passes, until the client gives it up and makes a new one."""
    write_to(crashable_kafka.address(), crashable_topic, range(10))
    source = KafkaSource(
        crashable_topic,
        bootstrap_servers=crashable_kafka.address("PROXIED"),
        discovery_interval=SOON,
        config={"socket.timeout.ms": 1_000},
    )
    with SourceDriver(source) as driver:
        driver.take(10)
        kafka_proxy.blackhole()
        driver.request(10)
        write_to(crashable_kafka.address(), crashable_topic, range(10, 20))
        assert not kafka_proxy.wait_cut(OUTAGE_S)  # long enough for several attempts to fail
        assert len(driver.emitted) == 10
        kafka_proxy.heal()
        driver.wait_until_emitted(20)
    assert driver.emitted == list(range(20))


def test_a_reset_connection_is_made_again(
    crashable_kafka: EmbeddedKafka, crashable_topic: str, kafka_proxy: TcpProxy
) -> None:
    with SourceDriver(
        KafkaSource(crashable_topic, bootstrap_servers=crashable_kafka.address("PROXIED"))
    ) as driver:
        for first in range(0, 30, 10):
            driver.request(10)
            kafka_proxy.reset()
            write_to(crashable_kafka.address(), crashable_topic, range(first, first + 10))
            driver.wait_until_emitted(first + 10)
    assert driver.emitted == list(range(30))


def test_cancel_needs_no_broker(
    crashable_kafka: EmbeddedKafka, crashable_topic: str, kafka_proxy: TcpProxy
) -> None:
    """A source that waits for brokers that are away ends soon all the same, its client too."""
    source = KafkaSource(
        crashable_topic,
        bootstrap_servers=crashable_kafka.address("PROXIED"),
        discovery_interval=SOON,
    )
    with SourceDriver(source) as driver:
        driver.request(1)
        driver.wait_until_splits(1)
        kafka_proxy.blackhole()
        began = time.monotonic()
        driver.cancel()
        driver.join()
        assert time.monotonic() - began < 5


def test_brokers_that_are_not_there_are_a_retryable_error(unused_port: int) -> None:
    """At the start there is nothing to wait with: the job's restart strategy decides."""
    with SourceDriver(KafkaSource("events", bootstrap_servers=f"127.0.0.1:{unused_port}")) as driver:
        error = error_of(driver)
    assert "cannot find the topic events" in str(error)
    assert error.retryable


def test_memory_is_bounded_while_nothing_is_asked_for(topic: Topics, write: Write, kafka: str) -> None:
    """Demand stops the source: the client fetches ahead to its limit and no further."""
    name = topic()
    for _ in range(100):  # 200 MB, of which the producer never holds more than two
        write(name, [b"x" * 10_000] * 200)
    source = KafkaSource(
        name, bootstrap_servers=kafka, value=len, config={"queued.max.messages.kbytes": 20_000}
    )
    process = psutil.Process()
    before = process.memory_info().rss
    with SourceDriver(source) as driver:
        while process.memory_info().rss - before < 15_000_000:
            driver.take(1)  # meanwhile the client fetches
        threading.Event().wait(1)  # in which it would fetch 100 MB
        grown = process.memory_info().rss - before
    assert grown < 50_000_000


# --- topics that change --------------------------------------------------------------------------


def test_new_partitions_are_read_from_their_beginning(topic: Topics, write: Write, kafka: str) -> None:
    """While the source runs, and while it was down; both are in the position then."""
    name = topic()
    write(name, [0])
    source = KafkaSource(name, bootstrap_servers=kafka, start="latest", discovery_interval=SOON)
    with SourceDriver(source) as driver:
        driver.request(1)
        driver.wait_until_splits(1)
        add_partitions(topic.admin, name, 2)
        write(name, [1], partition=1)
        driver.wait_until_emitted(1)
        snapshot = driver.snapshot()
    assert driver.heard.splits == {f"{name}-0", f"{name}-1"}
    add_partitions(topic.admin, name, 3)
    write(name, [2], partition=2)
    with SourceDriver(source, snapshot) as driver:
        assert driver.take(1) == [2]


def test_new_topics_that_match_the_pattern_are_read(topic: Topics, write: Write, kafka: str) -> None:
    name = topic()
    source = KafkaSource(pattern=f"{name}.*", bootstrap_servers=kafka, discovery_interval=SOON)
    with SourceDriver(source) as driver:
        driver.request(1)
        driver.wait_until_splits(1)
        write(topic(name=f"{name}-more"), [1])
        driver.wait_until_emitted(1)
    assert driver.heard.splits == {f"{name}-0", f"{name}-more-0"}


@pytest.mark.parametrize("made_anew", [False, True])
def test_a_topic_that_is_deleted_fails_the_job_by_name(
    topic: Topics, write: Write, kafka: str, made_anew: bool
) -> None:
    """While it is read, and while the job was down; the offsets would mean other records."""
    name = topic()
    write(name, range(3))
    source = KafkaSource(name, bootstrap_servers=kafka, discovery_interval=SOON)
    what = f"the topic {name} was deleted{' and created again' if made_anew else ''} since"
    with SourceDriver(source) as driver:
        driver.take(3)
        snapshot = driver.snapshot()
        topic.delete(name)
        if made_anew:
            write(topic(name=name), range(10))
        error = error_of(driver)
    assert what in str(error)
    assert not error.retryable
    with SourceDriver(source, snapshot) as again:
        assert (what if made_anew else f"there is no topic {name}") in str(error_of(again))


def test_an_offset_that_retention_has_taken_fails_the_job_by_name(
    topic: Topics, write: Write, kafka: str
) -> None:
    """After a restart, and in a source that was too slow: never a silent reset."""
    name = topic()
    write(name, range(10))
    source = KafkaSource(name, bootstrap_servers=kafka)
    with SourceDriver(source) as driver:
        driver.take(3)
        snapshot = driver.snapshot()
    delete_before(topic.admin, name, 5)
    with SourceDriver(source, snapshot) as driver:
        assert f"offset 3 of {name}-0 is out of range: it has 5 to 10" in str(error_of(driver))


def test_an_offset_taken_while_it_is_read_fails_the_job_by_name(
    topic: Topics, write: Write, kafka: str
) -> None:
    name = topic()
    write(name, [b"x" * 10_000] * 400)
    source = KafkaSource(
        name,
        bootstrap_servers=kafka,
        value=len,
        config={"fetch.message.max.bytes": 20_000, "queued.min.messages": 1},
    )
    with SourceDriver(source) as driver:
        driver.take(1)
        delete_before(topic.admin, name, 390)
        error = error_of(driver)
    assert re.search(rf"offset \d+ of {name}-0 is out of range", str(error))
    assert not error.retryable


# --- credentials and certificates ------------------------------------------------------------------

PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required user_job='geheim';"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedKafka, str]]:
    """A broker that asks for a password, or shows a certificate, by listener; and that certificate."""
    folder = tmp_path_factory.mktemp("guarded")
    key, certificate = self_signed(folder)
    keystore = folder / "keystore.pem"
    keystore.write_text(key.read_text() + certificate.read_text())
    sasl = {"sasl.enabled.mechanisms": "PLAIN", "plain.sasl.jaas.config": PLAIN}
    tls = {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(keystore)}
    listeners = [
        Listener("PASSWORD", "SASL_PLAINTEXT", settings=sasl),
        Listener("TLS", "SSL", settings=tls),
    ]
    with EmbeddedKafka(folder / "broker", listeners=listeners) as broker:
        name = Topics(broker.address())(name="guarded")
        write_to(broker.address(), name, range(3))
        yield broker, certificate.read_text()


def with_password(broker: EmbeddedKafka, password: str) -> KafkaSource[Any]:
    config = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanisms": "PLAIN",
        "sasl.username": "job",
        "sasl.password": password,
    }
    return KafkaSource("guarded", bootstrap_servers=broker.address("PASSWORD"), config=config)


def test_credentials_are_for_the_job_to_set(guarded: tuple[EmbeddedKafka, str]) -> None:
    with SourceDriver(with_password(guarded[0], "geheim")) as driver:
        assert driver.take(3) == [0, 1, 2]


def test_wrong_credentials_are_a_named_error_at_once(guarded: tuple[EmbeddedKafka, str]) -> None:
    """Without waiting for the time an answer has, without the password, and without a second try."""
    began = time.monotonic()
    with SourceDriver(with_password(guarded[0], "falsch")) as driver:
        error = error_of(driver)
    assert time.monotonic() - began < ANSWER_TIMEOUT
    assert re.search(r"cannot connect to 127.*sasl\.password", str(error))
    assert not error.retryable
    assert "falsch" not in str(error)


def test_tls_trusts_the_authority_that_the_job_names(guarded: tuple[EmbeddedKafka, str]) -> None:
    broker, certificate = guarded
    config = {"security.protocol": "SSL", "ssl.ca.pem": certificate}
    source = KafkaSource("guarded", bootstrap_servers=broker.address("TLS"), config=config)
    with SourceDriver(source) as driver:
        assert driver.take(3) == [0, 1, 2]


def test_a_restart_in_the_middle_of_handshakes_refuses_nobody(guarded: tuple[EmbeddedKafka, str]) -> None:
    """A source with TLS and one with a password continue, as one with neither does."""
    broker, certificate = guarded
    config = {"security.protocol": "SSL", "ssl.ca.pem": certificate}
    tls = KafkaSource("guarded", bootstrap_servers=broker.address("TLS"), start="latest", config=config)
    with SourceDriver(tls) as one, SourceDriver(with_password(broker, "geheim")) as other:
        other.take(3)
        one.wait_until_splits(1)
        one.request(1)
        other.request(1)
        broker.kill()
        broker.start()
        write_to(broker.address(), "guarded", [3])
        one.wait_until_emitted(1)
        other.wait_until_emitted(4)


def test_a_certificate_that_nobody_vouches_for_is_a_named_error(guarded: tuple[EmbeddedKafka, str]) -> None:
    address = guarded[0].address("TLS")
    source = KafkaSource("guarded", bootstrap_servers=address, config={"security.protocol": "SSL"})
    with SourceDriver(source) as driver:
        error = error_of(driver)
    assert "certificate verify failed" in str(error)
    assert not error.retryable


def test_an_unknown_client_setting_is_the_jobs_fault(kafka: str) -> None:
    source = KafkaSource("events", bootstrap_servers=kafka, config={"no.such.setting": 1})
    with pytest.raises(ConfigError, match=r"no\.such\.setting"), SourceDriver(source) as driver:
        driver.take(1)


# --- what the tests above do -------------------------------------------------------------------------


def error_of(driver: SourceDriver[Any]) -> SourceError:
    """Ask for more than there is, until the source fails."""
    with pytest.raises(SourceError) as caught:
        driver.take(100_000)
    return caught.value


def add_partitions(admin: AdminClient, name: str, total: int) -> None:
    admin.create_partitions([NewPartitions(name, total)])[name].result(TIMEOUT)
    while len(admin.list_topics(name, timeout=TIMEOUT).topics[name].partitions) < total:
        pass  # every question is a round trip


def delete_before(admin: AdminClient, name: str, offset: int) -> None:
    partition = TopicPartition(name, 0, offset)
    admin.delete_records([partition])[partition].result(TIMEOUT)


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]
