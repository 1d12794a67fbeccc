"""The settings of a Kafka client: the job's over the machine's, without those that no job may set."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import ConfigError
from pipeline.spi.connector_config import Secret

BOOTSTRAP_VARIABLE: Final = "PIPELINE_KAFKA"
"""Names the brokers where neither the job nor the machine's file does."""

FILE_VARIABLE: Final = "PIPELINE_KAFKA_CONFIG"
"""Names the machine's file of client settings: lines of `key=value`, as Kafka's own tools read them."""

_COMMON: Final[Mapping[str, Any]] = {
    # A connection whose other end is gone is noticed in seconds, not in minutes.
    "socket.keepalive.enable": True,
    "socket.timeout.ms": 10_000,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 1_000,
    # Brokers that are down are not worth a line: an error that ends the job names its cause.
    "log_level": 2,
}

_LOG: Final = logging.getLogger("connectors.kafka.client")
"""Where the client's own lines go, which it would write to stderr; `log_level` and `debug` say which."""

_OWNED: Final[Mapping[str, str]] = {
    "bootstrap.servers": "bootstrap_servers=",
    "error_cb": "nothing",
    "log_cb": "nothing",
    "logger": "nothing: the client logs to connectors.kafka.client",
}

_REACHES_OUT: Final = re.compile(
    r"""
    # reads a file, loads a library, runs a program, calls out
    .+\.(location|locations|paths|file|keytab|cmd|url)
    | sasl\.oauthbearer\.(config|metadata\..+)  # the same, by way of a method
    | ssl\.(engine\..+|providers)
    """,
    re.VERBOSE,
)
"""Keys with which the author of a job would use the rights of the machine that runs it."""

_WEAKENS: Final[Mapping[str, frozenset[str]]] = {
    "enable.ssl.certificate.verification": frozenset({"false", "0", "no"}),
    "ssl.endpoint.identification.algorithm": frozenset({"none", ""}),
}

_SECRET: Final = re.compile(r"password|secret|\.pem$|user\.info|token|passphrase")


class ClientSettings:
    """What a client is made with; its text never shows a secret.

    Args:
        values: keys and values as librdkafka knows them.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    @property
    def servers(self) -> str:
        return str(self._values["bootstrap.servers"])

    def client(self, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the dictionary for a client, with what the engine sets over the rest."""
        return {**self._values, "logger": _LOG, **(own or {})}

    def redacted(self, text: str) -> str:
        """Return a message of the client's without the secrets it may repeat."""
        for key, value in self._values.items():
            if _SECRET.search(key) and value:
                text = text.replace(str(value), "***")
        return text

    def __repr__(self) -> str:
        shown = {key: "***" if _SECRET.search(key) else value for key, value in self._values.items()}
        return f"ClientSettings({shown})"


class ClientConfig:
    """What a job says about its client; checked here, completed by `resolve` on the machine that runs it.

    Args:
        bootstrap_servers: the brokers, `host:port` with commas between; None to find them there.
        config: client settings by librdkafka's names.
        owned: further keys that are the engine's, and by what the user sets them instead.
        defaults: settings that serve the connector best, under those of the machine and the job.

    Raises:
        ConfigError: a setting is not for a job to set.
    """

    def __init__(
        self,
        bootstrap_servers: str | None,
        config: Mapping[str, str | float] | None,
        *,
        owned: Mapping[str, str],
        defaults: Mapping[str, Any],
    ) -> None:
        self._owned = {**_OWNED, **owned}
        self._defaults = {**_COMMON, **defaults}
        self._job: dict[str, Any] = dict(config or {})
        for key, value in self._job.items():
            self._check_owned(key)
            _check_job_may_set(key, value)
        self._bootstrap_servers = bootstrap_servers

    def resolve(self) -> ClientSettings:
        """Return the settings that hold: the job's over those of the machine's file over the defaults.

        Raises:
            ConfigError: no broker is named, or the machine's file cannot be read.
        """
        machine = _machine_settings()
        found = machine.pop("bootstrap.servers", None)
        servers = self._bootstrap_servers or found or os.environ.get(BOOTSTRAP_VARIABLE)
        for key in machine:
            self._check_owned(key)
        if not servers:
            raise ConfigError(
                f"no Kafka brokers: expected bootstrap_servers= or the variable {BOOTSTRAP_VARIABLE}",
                hint=f"pass bootstrap_servers='host:9092', or set {BOOTSTRAP_VARIABLE}=host:9092",
            )
        return ClientSettings({**self._defaults, **machine, **self._job, "bootstrap.servers": servers})

    def to_config(self) -> dict[str, Any]:
        """Return what the job says, without what the machine and the defaults add, secrets marked."""
        return {"bootstrap.servers": self._bootstrap_servers, "config": with_secrets(self._job) or None}

    def __repr__(self) -> str:
        return f"ClientConfig({self._bootstrap_servers!r})"

    def _check_owned(self, key: str) -> None:
        if key in self._owned:
            raise ConfigError(
                f"the client setting {key} belongs to the engine, whose guarantees depend on it",
                hint=f"it is set by {self._owned[key]}; leave it out of config",
            )


def with_secrets(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return client settings with those marked that must not be stored or shown in plain text."""
    return {key: Secret(str(value)) if _SECRET.search(key) else value for key, value in settings.items()}


def check_reach(key: str, instead: str) -> None:
    """Refuse a setting with which a job would use the rights of the machine that runs it.

    Args:
        instead: what the user can do.
    """
    if _REACHES_OUT.fullmatch(key):
        raise ConfigError(
            f"a job may not set {key}: it would read files, load code or call addresses with the "
            "rights of this machine",
            hint=instead,
        )


def _check_job_may_set(key: str, value: object) -> None:
    check_reach(
        key,
        "certificates and keys go into ssl.ca.pem, ssl.certificate.pem, ssl.key.pem; all else "
        f"into the file that {FILE_VARIABLE} names",
    )
    if str(value).lower() in _WEAKENS.get(key, ()):
        raise ConfigError(
            f"a job may not switch off the verification of certificates ({key})",
            hint=f"give the authority's certificate as ssl.ca.pem, or use the file of {FILE_VARIABLE}",
        )
    if not isinstance(value, str | int | float):  # a bool is an int
        raise ConfigError(f"config[{key!r}] must be text, a number or a bool, not {type(value).__name__}")


def _machine_settings() -> dict[str, str]:
    path = os.environ.get(FILE_VARIABLE)
    if not path:
        return {}
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path}, which {FILE_VARIABLE} names: {error}") from error
    settings: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals:  # the line is not shown: it may be half of a secret
            raise ConfigError(f"{path}:{number}: expected key=value")
        settings[key.strip()] = value.strip()
    return settings
