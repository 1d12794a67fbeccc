"""Where a broker's program comes from: Maven and Java, or Docker."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pipeline.core.errors import ConfigError, ConnectorError

KAFKA_VERSION: Final = "4.1.0"

_OLDEST_JAVA: Final = 17  # what Kafka 4 runs on

_DOWNLOAD_TIMEOUT: Final = 300.0  # seconds for 43 MB from wherever Maven gets them

_JAVA_OPTIONS: Final = (
    "-Xms128m",
    "-Xmx768m",
    "-XX:+UseSerialGC",  # starts quickest, and one user's data need no better
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",  # says when it is started
)

# Without a binding of slf4j a broker says nothing, not even that it has started.
_POM: Final = f"""\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>pipeline</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""


class Distribution(Protocol):
    """A way to run Kafka's programs on files of one folder, which they see under its own path."""

    def command(self, folder: Path, program: str, *arguments: str) -> list[str]:
        """Return the command that runs a main class."""
        ...

    def send(self, process: subprocess.Popen[str], folder: Path, number: signal.Signals) -> None:
        """Send a signal to the program that `process` runs."""
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


@dataclass(frozen=True)
class DockerDistribution:
    """The image of the project, in a container that shares the network and the folder with this machine.

    Args:
        docker: path of the program.
    """

    docker: str

    def command(self, folder: Path, program: str, *arguments: str) -> list[str]:
        run = [self.docker, "run", "--rm", "--network=host", f"--user={os.getuid()}:{os.getgid()}"]
        where = [f"--volume={folder}:{folder}", "--entrypoint=/opt/kafka/bin/kafka-run-class.sh"]
        # The name belongs to the broker: what formats its storage is gone before the broker starts.
        return [
            *run,
            f"--name={_container(folder)}",
            *where,
            f"apache/kafka:{KAFKA_VERSION}",
            program,
            *arguments,
        ]

    def send(self, process: subprocess.Popen[str], folder: Path, number: signal.Signals) -> None:
        # A signal to the client would not reach the container if it is one that cannot be caught.
        run_quietly([self.docker, "kill", f"--signal={number.name}", _container(folder)], timeout=30)


def find_distribution() -> Distribution:
    """Return the first way to run a broker that this machine offers.

    Raises:
        ConfigError: it offers none; one line says what is missing.
        ConnectorError: Maven could not fetch the jars.
    """
    java, maven = _java(), shutil.which("mvn")
    if java is not None and (maven is not None or _libs().is_dir()):
        return JavaDistribution(java, _fetched(maven))
    docker = shutil.which("docker")
    if docker is not None and _answers([docker, "info"]):
        return DockerDistribution(docker)
    missing = [name for name, there in ((f"Java {_OLDEST_JAVA}", java), ("Maven", maven)) if not there]
    raise ConfigError(
        f"no Kafka can be started: {' and '.join(missing)} not found, and no Docker that answers",
        hint="apt-get install default-jre-headless maven, or start Docker, or set PIPELINE_KAFKA",
    )


def run_quietly(command: Sequence[str], timeout: float) -> str:
    """Run a command to its end and return what it said.

    Raises:
        ConnectorError: it failed or took longer than `timeout` seconds; the message ends with its last line.
    """
    try:
        # What is run is named here, not by whoever writes a job.
        done = subprocess.run(  # noqa: S603
            command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout
        )
    except subprocess.CalledProcessError as error:
        said: list[str] = error.stdout.strip().splitlines() or ["it said nothing"]
        raise ConnectorError(f"{command[0]} failed: {said[-1]}", retryable=False) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConnectorError(f"{command[0]} failed: {error}", retryable=False) from error
    return done.stdout


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    for java in (shutil.which("java", path=f"{home}/bin") if home else None, shutil.which("java")):
        if java is not None and _java_version(java) >= _OLDEST_JAVA:
            return java
    return None


def _java_version(java: str) -> int:
    try:
        found = re.search(r'version "(\d+)', run_quietly([java, "-version"], timeout=60))
    except ConnectorError:
        return 0
    return int(found[1]) if found else 0


def _answers(command: Sequence[str]) -> bool:
    try:
        run_quietly(command, timeout=30)
    except ConnectorError:
        return False
    return True


def _libs() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "pipeline" / f"kafka-{KAFKA_VERSION}"


def _fetched(maven: str | None) -> Path:
    """Return the folder of jars; it appears under its name only when it is complete."""
    libs = _libs()
    if maven is None or libs.is_dir():
        return libs
    libs.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libs.parent) as place:
        pom, jars = Path(place, "pom.xml"), Path(place, "libs")
        pom.write_text(_POM)
        fetch = [
            maven,
            "-q",
            "-B",
            "-f",
            str(pom),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={jars}",
        ]
        run_quietly(fetch, _DOWNLOAD_TIMEOUT)
        try:
            jars.rename(libs)
        except OSError:
            if not libs.is_dir():  # else another process was quicker
                raise
    return libs


def _container(folder: Path) -> str:
    return "pipeline-kafka" + re.sub(r"[^A-Za-z0-9]+", "-", str(folder))
