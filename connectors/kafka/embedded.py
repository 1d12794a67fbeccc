"""A Kafka broker in a folder, for demos and tests: one node, loopback only."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Final, Self

from connectors.kafka.distribution import Distribution, find_distribution
from connectors.kafka.java import run_quietly
from pipeline.core.errors import ConnectorError

_HOST: Final = "127.0.0.1"
_STARTED: Final = "Kafka Server started"
_START_TIMEOUT: Final = 60.0  # seconds; a loaded machine needs some, a free one two
_STOP_TIMEOUT: Final = 20.0

_SETTINGS: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    # One node can keep one copy.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # A killed broker cannot return before its old self is given up: in a second, not in nine.
    "broker.session.timeout.ms": "1500",
    "broker.heartbeat.interval.ms": "250",
    # Records are deleted by the time they carry: old ones would be gone within minutes.
    "log.retention.ms": "-1",
    "log.cleaner.dedupe.buffer.size": str(8 << 20),
    # A misspelt topic is to be an error, not a topic.
    "auto.create.topics.enable": "false",
    # A transaction that timed out is aborted soon after, not up to ten seconds later.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
}


@dataclass(frozen=True)
class Listener:
    """One more address of a broker, such as that of a proxy or one that requires a password.

    Args:
        name: upper-case, unique.
        protocol: `PLAINTEXT`, `SASL_PLAINTEXT`, `SSL` or `SASL_SSL`.
        port: where it listens; None for a free one.
        advertised_port: the port that clients are to use, if it is that of a proxy; None for its own.
        settings: of this listener alone, without their prefix.
    """

    name: str
    protocol: str = "PLAINTEXT"
    port: int | None = None
    advertised_port: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


class EmbeddedKafka:
    """Runs a Kafka broker while the `with` block lasts; its data stays in the folder.

    It listens on free loopback ports, which it keeps when it is started again. A broker that a
    killed process left running in the folder is ended first.

    Args:
        folder: where data, settings and the log `broker.log` live; created if it is not there.
        settings: of the broker, beside or instead of those that suit one node.
        listeners: further addresses.

    Raises:
        ConfigError: (at `start`) there is no Java and Maven, nor Docker, to run it with.

    Example:
        with EmbeddedKafka(".demo/kafka") as broker:
            producer = Producer({"bootstrap.servers": broker.address()})
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        settings: Mapping[str, str] | None = None,
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.folder = Path(folder).resolve()
        self._listeners = (Listener("PLAINTEXT"), *listeners)
        ports = _free_ports(len(self._listeners) + 1)
        self._controller_port = ports.pop()
        self._ports = {
            listener.name: listener.port or port
            for listener, port in zip(self._listeners, ports, strict=True)
        }
        self._advertised = {
            listener.name: listener.advertised_port or self._ports[listener.name]
            for listener in self._listeners
        }
        self._settings = {**_SETTINGS, **(settings or {})}
        self._distribution: Distribution | None = None
        self._process: subprocess.Popen[str] | None = None

    def address(self, listener: str = "PLAINTEXT") -> str:
        """Return what a client takes for `bootstrap.servers`."""
        return f"{_HOST}:{self._advertised[listener]}"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Prepare the folder if need be, start the broker and wait until it serves.

        Raises:
            ConfigError: nothing to run it with was found.
            ConnectorError: it did not start; the message names its log.
        """
        self._distribution = distribution = self._distribution or find_distribution()
        self.folder.mkdir(parents=True, exist_ok=True)
        distribution.end_left_over(self.folder, self._left_over())
        properties = self.folder / "server.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in self._all_settings().items()))
        if not (self.folder / "data" / "meta.properties").exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
            arguments = ("format", "--cluster-id", cluster, "--config", str(properties))
            command = distribution.command(self.folder, "kafka.tools.StorageTool", *arguments)
            run_quietly(command, _START_TIMEOUT)
        self._launch(distribution.command(self.folder, "kafka.Kafka", str(properties)))

    def stop(self) -> None:
        """Shut the broker down in order; stopping twice does no harm."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the broker as a crash would; `start` starts it again on the same ports and data."""
        self._end(signal.SIGKILL)

    def suspend(self) -> None:
        """Suspend the broker, with its connections open and nothing answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a suspended broker."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _all_settings(self) -> dict[str, str]:
        controller = f"{_HOST}:{self._controller_port}"
        heard = [f"{name}://{_HOST}:{port}" for name, port in self._ports.items()]
        told = [f"{name}://{_HOST}:{port}" for name, port in self._advertised.items()]
        protocols = [f"{listener.name}:{listener.protocol}" for listener in self._listeners]
        settings = {
            **self._settings,
            "log.dirs": str(self.folder / "data"),
            "controller.quorum.voters": f"1@{controller}",
            "listeners": ",".join([*heard, f"CONTROLLER://{controller}"]),
            "advertised.listeners": ",".join(told),
            "listener.security.protocol.map": ",".join([*protocols, "CONTROLLER:PLAINTEXT"]),
            "inter.broker.listener.name": "PLAINTEXT",
        }
        for listener in self._listeners:
            prefix = f"listener.name.{listener.name.lower()}."
            settings |= {prefix + key: value for key, value in listener.settings.items()}
        return settings

    def _launch(self, command: list[str]) -> None:
        process = subprocess.Popen(  # noqa: S603 - what is run is named in `distribution`
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._process = process
        self._pid_file.write_text(str(process.pid))
        told, started = Event(), Event()
        # The pipe has to be read while the broker lives: it would block once the pipe is full.
        self._reader = Thread(
            target=self._keep_log, args=(process, told, started), name="kafka-broker-log", daemon=True
        )
        self._reader.start()
        told.wait(_START_TIMEOUT)
        if not started.is_set():
            self.kill()
            raise ConnectorError(
                f"Kafka did not start in {self.folder}",
                retryable=False,
                hint=f"see {self._log}; if its data is not needed, remove the folder",
            )

    def _keep_log(self, process: subprocess.Popen[str], told: Event, started: Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines, self._log.open("a") as log:
            for line in lines:
                log.write(line)
                log.flush()
                if _STARTED in line:
                    started.set()
                    told.set()
        told.set()

    @property
    def _log(self) -> Path:
        return self.folder / "broker.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "broker.pid"

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        assert self._distribution is not None
        self._distribution.send(self._process, self.folder, number)

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        self._signal(number)
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            process.wait(_STOP_TIMEOUT)
        self._process = None
        self._reader.join()
        self._pid_file.unlink(missing_ok=True)

    def _left_over(self) -> int | None:
        """Return the id of the process whose owner was killed: it holds the data folder."""
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(self.folder / "server.properties") in command else None


def _free_ports(count: int) -> list[int]:
    # All at once, so that none is given twice.
    sockets = [socket.create_server((_HOST, 0)) for _ in range(count)]
    ports = [taken.getsockname()[1] for taken in sockets]
    for taken in sockets:
        taken.close()
    return ports
