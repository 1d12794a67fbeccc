"""The broker that tests and demos start: it keeps its data and its address, whatever ends it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from threading import Timer

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors.kafka.distribution import (
    KAFKA_VERSION,
    DockerDistribution,
    JavaDistribution,
    find_distribution,
)
from connectors.kafka.embedded import EmbeddedKafka
from pipeline.core.errors import ConfigError, ConnectorError
from tests.kafka_broker import TIMEOUT, Topics
from tests.tcp_proxy import TcpProxy


def write(address: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": address})
    producer.produce(topic, value)
    assert producer.flush(TIMEOUT) == 0


def count(address: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "count"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=TIMEOUT)[1]
    finally:
        consumer.close()


def test_a_killed_broker_comes_back_with_its_address_and_data(crashable_kafka: EmbeddedKafka) -> None:
    topic = Topics(crashable_kafka.address())()
    address = crashable_kafka.address()
    write(address, topic, b"before")
    crashable_kafka.kill()
    crashable_kafka.start()
    assert crashable_kafka.address() == address
    write(address, topic, b"after")
    assert count(address, topic) == 2


def test_a_client_of_the_proxied_listener_stays_behind_the_proxy(
    crashable_kafka: EmbeddedKafka, kafka_proxy: TcpProxy
) -> None:
    """The broker tells it to come back through the proxy, so that a fault reaches all it does."""
    topic = Topics(crashable_kafka.address())()
    assert crashable_kafka.address("PROXIED") == f"127.0.0.1:{kafka_proxy.port}"
    write(crashable_kafka.address("PROXIED"), topic, b"through")
    kafka_proxy.blackhole()
    producer = Producer({"bootstrap.servers": crashable_kafka.address("PROXIED"), "message.timeout.ms": 500})
    producer.produce(topic, b"lost")
    producer.flush(TIMEOUT)
    assert count(crashable_kafka.address(), topic) == 1


def test_a_broker_that_a_killed_process_left_is_taken_over(tmp_path: Path) -> None:
    """Its folder is free for the next start, and only one broker runs in it."""
    left, broker = EmbeddedKafka(tmp_path), EmbeddedKafka(tmp_path)
    left.start()
    pid = int((tmp_path / "broker.pid").read_text())
    try:
        broker.start()
        assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        assert broker.running
        assert not left.running
    finally:
        broker.kill()  # at once: nothing of it is needed
        left.kill()


def test_a_broker_that_is_left_over_has_ended_before_the_next_one_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that is killed takes a moment to end, and holds its folder until then."""
    kill = os.kill
    timers: list[Timer] = []

    def kill_later(pid: int, number: int) -> None:
        timers.append(Timer(0.3, kill, (pid, number)))
        timers[0].start()

    monkeypatch.setattr(os, "kill", kill_later)
    with subprocess.Popen(["sleep", "60"]) as left:
        JavaDistribution("java", Path()).end_left_over(Path(), left.pid)
        ended = left.poll()
        timers[0].join()
    assert ended == -signal.SIGKILL


def test_a_broker_that_cannot_start_names_its_log(tmp_path: Path) -> None:
    broker = EmbeddedKafka(tmp_path, settings={"log.segment.bytes": "none"})
    with pytest.raises(ConnectorError):
        broker.start()
    assert not broker.running


def test_without_java_and_docker_one_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ConfigError, match="Java 17 and Maven not found") as caught:
        find_distribution()
    assert "\n" not in str(caught.value)


def program(folder: Path, name: str, does: str) -> str:
    """Make a program of one line that `PATH` leads to."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("java", ["exit 127", "echo 'openjdk version \"11.0.2\"'"], ids=["broken", "old"])
def test_a_docker_without_its_daemon_is_none(
    java: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    program(tmp_path, "java", java)
    program(tmp_path, "mvn", "exit 1")
    docker = program(tmp_path, "docker", "exit 1")
    with pytest.raises(ConfigError, match="Java 17 not found, and no Docker that answers") as caught:
        find_distribution()
    assert "\n" not in str(caught.value)
    program(tmp_path, "docker", "exit 0")
    assert find_distribution() == DockerDistribution(docker)


def test_a_failed_download_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, and leaves nothing that looks complete."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    program(tmp_path, "java", "echo 'openjdk version \"17.0.9\"'")
    program(tmp_path, "mvn", "echo '[ERROR] not to be had'; echo; echo '[ERROR] read more'; exit 1")
    with pytest.raises(ConnectorError, match=r"mvn failed: \[ERROR\] not to be had$"):
        find_distribution()
    assert list((tmp_path / "pipeline").iterdir()) == []


def test_a_container_has_what_the_broker_needs(tmp_path: Path) -> None:
    """This machine's network, its user, the folder under its own path, and a log that says when it serves."""
    command = DockerDistribution("docker").command(tmp_path, "kafka.Kafka", f"{tmp_path}/server.properties")
    image = command.index(f"apache/kafka:{KAFKA_VERSION}")
    options = command[2:image]
    assert command[:2] == ["docker", "run"]
    assert command[image + 1 :] == ["kafka.Kafka", f"{tmp_path}/server.properties"]
    assert {"--rm", "--network=host", f"--volume={tmp_path}:{tmp_path}"} <= set(options)
    assert f"--user={os.getuid()}:{os.getgid()}" in options
    assert "--entrypoint=/opt/kafka/bin/kafka-run-class.sh" in options
    assert "--env=KAFKA_LOG4J_OPTS=-Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml" in options
    assert f"--env=LOG_DIR={tmp_path}/logs" in options
    name = next(option for option in options if option.startswith("--name="))
    assert re.fullmatch(r"--name=[a-zA-Z0-9][a-zA-Z0-9_.-]+", name), "what Docker takes"


def test_a_container_is_signalled_and_ended_by_its_name(tmp_path: Path) -> None:
    """Not by the command that runs it: that may be gone while the container runs."""
    docker = DockerDistribution(program(tmp_path, "docker", f'echo "$@" >> {tmp_path}/said; exit 1'))
    docker.end_left_over(tmp_path, None)
    with subprocess.Popen(["true"], text=True) as process, pytest.raises(ConnectorError):
        docker.send(process, tmp_path, signal.SIGSTOP)
    name = next(one for one in docker.command(tmp_path, "p") if one.startswith("--name="))[len("--name=") :]
    said = (tmp_path / "said").read_text().splitlines()
    assert said == [f"rm --force {name}", f"kill --signal=SIGSTOP {name}"]


def test_jars_once_fetched_need_no_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program only has to say how old it is: so this can be seen where Kafka comes from Docker, too."""
    java = program(tmp_path, "java", "echo 'openjdk version \"17.0.9\"'")
    libs = tmp_path / "pipeline" / f"kafka-{KAFKA_VERSION}"
    libs.mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert find_distribution() == JavaDistribution(java, libs)


def test_a_suspended_broker_answers_again_when_it_is_resumed(crashable_kafka: EmbeddedKafka) -> None:
    topic = Topics(crashable_kafka.address())()
    crashable_kafka.suspend()
    producer = Producer({"bootstrap.servers": crashable_kafka.address()})
    producer.produce(topic, b"patient")
    assert producer.flush(0.2) == 1
    crashable_kafka.resume()
    assert producer.flush(TIMEOUT) == 0
