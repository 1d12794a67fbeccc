"""A broker from before there were transactions, with the ZooKeeper it needs, fetched as Kafka is."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path
from threading import Event, Thread
from typing import Self

import pytest

from connectors.kafka.java import OLDEST_JAVA, Artifact, Program, find_java

VERSION = "0.10.2.2"
PROGRAM = Program(
    f"kafka-{VERSION}",
    jars=(
        Artifact("org.apache.kafka", "kafka_2.12", VERSION),
        Artifact("javax.xml.bind", "jaxb-api", "2.3.1"),  # Java had it in those days
    ),
)
ZOOKEEPER, KAFKA = "org.apache.zookeeper.server.quorum.QuorumPeerMain", "kafka.Kafka"
LOGGING = """\
log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.SimpleLayout
"""
START_S = 60


class OldKafka:
    """Runs both on free loopback ports while a `with` block lasts.

    Args:
        folder: for their data and settings.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = Event()
        self._running: list[tuple[subprocess.Popen[str], Thread]] = []
        self._java = ""
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self._zookeeper_port, self._port = (one.getsockname()[1] for one in sockets)
        for one in sockets:
            one.close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        java, maven = find_java(), shutil.which("mvn")
        if java is None or (maven is None and not PROGRAM.place.is_dir()):
            pytest.fail(f"Kafka {VERSION} needs Java {OLDEST_JAVA} and Maven", pytrace=False)
        if maven is not None:
            PROGRAM.fetch(maven)
        self._java = java
        (self._folder / "log4j.properties").write_text(LOGGING)
        zookeeper = {
            "dataDir": str(self._folder / "zookeeper"),
            "clientPort": str(self._zookeeper_port),
            "clientPortAddress": "127.0.0.1",
        }
        self._run(ZOOKEEPER, zookeeper)
        kafka = {
            "broker.id": "1",
            "listeners": f"PLAINTEXT://{self.address}",
            "zookeeper.connect": f"127.0.0.1:{self._zookeeper_port}",
            "zookeeper.connection.timeout.ms": str(START_S * 1000),
            "log.dirs": str(self._folder / "data"),
            "log.cleaner.dedupe.buffer.size": str(8 << 20),
            "auto.create.topics.enable": "false",
        }
        self._run(KAFKA, kafka)
        if not self._started.wait(START_S):
            self.__exit__()
            pytest.fail(f"Kafka {VERSION} did not start: see {self._folder}", pytrace=False)
        return self

    def __exit__(self, *_: object) -> None:
        for process, reader in reversed(self._running):
            process.kill()  # what they have is not needed
            process.wait(20)
            reader.join()

    def _run(self, program: str, settings: dict[str, str]) -> None:
        properties = self._folder / f"{program}.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        logging = f"-Dlog4j.configuration=file:{self._folder}/log4j.properties"
        options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", logging]
        process = subprocess.Popen(
            [self._java, *options, "-cp", f"{PROGRAM.place}/*", program, str(properties)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # The pipe has to be read while it lives: it would block once the pipe is full.
        reader = Thread(target=self._keep_log, args=(process, program), name=f"log-{program}", daemon=True)
        reader.start()
        self._running.append((process, reader))

    def _keep_log(self, process: subprocess.Popen[str], program: str) -> None:
        assert process.stdout is not None
        with process.stdout as lines, (self._folder / f"{program}.log").open("w") as log:
            for line in lines:
                log.write(line)
                log.flush()
                if "[Kafka Server 1], started" in line:
                    self._started.set()
