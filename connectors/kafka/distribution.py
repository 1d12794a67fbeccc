"""Where a broker's program comes from: Maven and Java, or Docker."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from connectors.kafka.java import OLDEST_JAVA, Artifact, Program, find_java, run_quietly
from pipeline.core.errors import ConfigError, ConnectorError

KAFKA_VERSION: Final = "4.1.0"

_HEAP: Final = ("-Xms128m", "-Xmx768m")

_JAVA_OPTIONS: Final = (
    *_HEAP,
    "-XX:+UseSerialGC",  # starts quickest, and one user's data need no better
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",  # says when it is started
)

_IN_IMAGE: Final = "/opt/kafka"

_END_TIMEOUT: Final = 20.0

KAFKA: Final = Program(
    f"kafka-{KAFKA_VERSION}",
    [
        Artifact("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
        # Without a binding of slf4j a broker says nothing, not even that it has started.
        Artifact("org.slf4j", "slf4j-simple", "1.7.36"),
    ],
)


class Distribution(Protocol):
    """A way to run Kafka's programs on files of one folder, which they see under its own path."""

    def command(self, folder: Path, program: str, *arguments: str) -> list[str]:
        """Return the command that runs a main class."""
        ...

    def send(self, process: subprocess.Popen[str], folder: Path, number: signal.Signals) -> None:
        """Send a signal to the program that `process` runs."""
        ...

    def end_left_over(self, folder: Path, pid: int | None) -> None:
        """End the broker that a killed process left running on a folder.

        Args:
            pid: of the command that ran it, if that still runs.
        """
        ...


@dataclass(frozen=True)
class JavaDistribution:
    """The jars of a folder, on this machine's Java.

    Args:
        java: path of the program.
        libs: folder of the jars.
    """

    java: str
    libs: Path

    def command(self, folder: Path, program: str, *arguments: str) -> list[str]:
        return [self.java, *_JAVA_OPTIONS, "-cp", f"{self.libs}/*", program, *arguments]

    def send(self, process: subprocess.Popen[str], folder: Path, number: signal.Signals) -> None:
        process.send_signal(number)

    def end_left_over(self, folder: Path, pid: int | None) -> None:
        if pid is not None:
            descriptor = os.pidfd_open(pid)
            os.kill(pid, signal.SIGKILL)
            select.select([descriptor], [], [], _END_TIMEOUT)  # readable when the process has ended
            os.close(descriptor)


@dataclass(frozen=True)
class DockerDistribution:
    """The image of the project, in a container that shares the network and the folder with this machine.

    Args:
        docker: path of the program.
    """

    docker: str

    def command(self, folder: Path, program: str, *arguments: str) -> list[str]:
        # The name belongs to the broker: what formats its storage is gone before the broker starts.
        run = [self.docker, "run", "--rm", f"--name={_container(folder)}", "--network=host"]
        files = [f"--user={os.getuid()}:{os.getgid()}", f"--volume={folder}:{folder}"]
        # By itself the script logs as a tool does: warnings only, and so not that the broker has started.
        settings = {
            "KAFKA_HEAP_OPTS": " ".join(_HEAP),
            "KAFKA_LOG4J_OPTS": f"-Dlog4j2.configurationFile={_IN_IMAGE}/config/log4j2.yaml",
            "LOG_DIR": f"{folder}/logs",
        }
        environment = [f"--env={name}={value}" for name, value in settings.items()]
        what = [f"--entrypoint={_IN_IMAGE}/bin/kafka-run-class.sh", f"apache/kafka:{KAFKA_VERSION}", program]
        return [*run, *files, *environment, *what, *arguments]

    def send(self, process: subprocess.Popen[str], folder: Path, number: signal.Signals) -> None:
        # A signal to the client would not reach the container if it is one that cannot be caught.
        run_quietly([self.docker, "kill", f"--signal={number.name}", _container(folder)], timeout=30)

    def end_left_over(self, folder: Path, pid: int | None) -> None:
        # The container outlives the command that ran it. Most often there is none, which is an error.
        _answers([self.docker, "rm", "--force", _container(folder)])


def find_distribution() -> Distribution:
    """Return the first way to run a broker that this machine offers.

    Raises:
        ConfigError: it offers none; one line says what is missing.
        ConnectorError: Maven could not fetch the jars.
    """
    java, maven = find_java(), shutil.which("mvn")
    if java is not None and (maven is not None or KAFKA.place.is_dir()):
        if maven is not None:
            KAFKA.fetch(maven)
        return JavaDistribution(java, KAFKA.place)
    docker = shutil.which("docker")
    if docker is not None and _answers([docker, "info"]):
        return DockerDistribution(docker)
    missing = [name for name, there in ((f"Java {OLDEST_JAVA}", java), ("Maven", maven)) if not there]
    raise ConfigError(
        f"no Kafka can be started: {' and '.join(missing)} not found, and no Docker that answers",
        hint="apt-get install default-jre-headless maven, or start Docker, or set PIPELINE_KAFKA",
    )


def _answers(command: Sequence[str]) -> bool:
    try:
        run_quietly(command, timeout=30)
    except ConnectorError:
        return False
    return True


def _container(folder: Path) -> str:
    return "pipeline-kafka" + re.sub(r"[^A-Za-z0-9]+", "-", str(folder))
