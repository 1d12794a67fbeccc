"""The settings of a connector as data, for stored definitions and for other engines."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from math import isfinite
from typing import Any, Final, Protocol, cast, runtime_checkable

from pipeline.core.durations import milliseconds
from pipeline.core.errors import ConfigError
from pipeline.core.functions import function_ref
from pipeline.core.policy import ErrorPolicy


@dataclass(frozen=True, slots=True)
class Secret:
    """A setting that must not be stored or shown in plain text.

    Args:
        value: the text; `repr` does not show it.
    """

    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Code:
    """A Python object that data can only name: a type, or something else that is not callable.

    Functions and classes need no wrapping; their own names are used.

    Args:
        value: the object.
        name: by which a registry knows it.
    """

    value: object
    name: str


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """What a user has set on a connector; build one with `of`.

    Args:
        type: the name of the connector in a stored definition, such as `kafka`.
        options: settings by name, as JSON. Instead of a secret they have `{"$secret": path}`, and
            instead of a Python object `{"$code": name}`.
        secrets: the secret values, by their path in `options`, such as `config.sasl.password`.
        code: the Python objects, by their path in `options`.

    Example:
        >>> config = ConnectorConfig.of("kafka", {"topic": "a", "key": len, "config": {"token": Secret("x")}})
        >>> config.options
        {'topic': 'a', 'key': {'$code': 'len'}, 'config': {'token': {'$secret': 'config.token'}}}
        >>> config.secrets
        {'config.token': 'x'}
    """

    type: str
    options: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    code: Mapping[str, object]

    @classmethod
    def of(cls, type: str, settings: Mapping[str, Any]) -> ConnectorConfig:  # noqa: A002 - the field's name
        """Separate settings into data, secrets and code.

        Durations become milliseconds, instants ISO 8601, enums their values, paths text, keys text. An
        object with a method `to_config` is replaced by what that returns. A setting that is None is left
        out: it has not been set.

        Args:
            type: the name of the connector.
            settings: by name; `Secret` marks what is one.

        Raises:
            ConfigError: a setting cannot be expressed as data; the message has its path.
        """
        split = _Split(type)
        options = split.mapping((), settings)
        return cls(type, options, split.secrets, split.code)

    def to_data(self) -> dict[str, Any]:
        """Return the connector as it is written in a stored definition."""
        return {"type": self.type, "config": dict(self.options)}


@runtime_checkable
class Configured(Protocol):
    """A source or sink that can return its settings as data."""

    def to_config(self) -> ConnectorConfig:
        """Return every setting, including defaults, but none that the machine provides.

        Raises:
            ConfigError: a setting cannot be expressed as data.
        """
        ...


def config_of(connector: object) -> ConnectorConfig:
    """Return the settings of a source or sink.

    Raises:
        ConfigError: it cannot return them, or one of them cannot be expressed as data.
    """
    if isinstance(connector, Configured):
        return connector.to_config()
    raise ConfigError(
        f"{type(connector).__name__} cannot be expressed as data: it has no to_config()",
        hint="use another connector, keep this job in Python, or write to_config() -> ConnectorConfig for it",
    )


def _policy(policy: ErrorPolicy) -> str | dict[str, str]:
    return policy.kind if policy.tag is None else {policy.kind: policy.tag.name}


def _duration(duration: timedelta) -> int:
    return milliseconds("a duration", duration, least=0)


_PLAIN: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (Enum, lambda value: value.value),  # also those that are text
    (timedelta, _duration),
    (datetime, datetime.isoformat),
    (os.PathLike, os.fspath),
    (ErrorPolicy, _policy),
)
"""What has one obvious form as data."""


class _Split:
    """Walks through settings and collects what is not data."""

    def __init__(self, connector: str) -> None:
        self._connector = connector
        self.secrets: dict[str, str] = {}
        self.code: dict[str, object] = {}

    def mapping(self, path: tuple[str, ...], settings: Mapping[Any, Any]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in settings.items():
            name = str(key)
            if name.startswith("$"):  # it would be read as a reference
                raise self._refusal((*path, name), "its name begins with $")
            if value is not None:
                data[name] = self._value((*path, name), value)
        return data

    def _value(self, path: tuple[str, ...], value: Any) -> Any:
        plain = next((convert(value) for kind, convert in _PLAIN if isinstance(value, kind)), value)
        if plain is None or isinstance(plain, str | int) or (isinstance(plain, float) and isfinite(plain)):
            return plain
        if isinstance(plain, Mapping):
            return self.mapping(path, cast("Mapping[Any, Any]", plain))
        if isinstance(plain, Sequence) and not isinstance(plain, bytes | bytearray):
            return [self._value((*path, str(i)), one) for i, one in enumerate(cast("Sequence[Any]", plain))]
        return self._object(path, plain)

    def _object(self, path: tuple[str, ...], value: Any) -> Any:
        if isinstance(value, Secret):
            self.secrets[".".join(path)] = value.value
            return {"$secret": ".".join(path)}
        if isinstance(value, Code):
            return self._code(path, value.value, value.name)
        if hasattr(value, "to_config") and not isinstance(value, type):
            return self._value(path, value.to_config())
        if callable(value):
            return self._code(path, value, function_ref(value).name)
        raise self._refusal(path, f"{type(value).__name__} is not data: {value!r}")

    def _code(self, path: tuple[str, ...], value: object, name: str) -> dict[str, str]:
        self.code[".".join(path)] = value
        return {"$code": name}

    def _refusal(self, path: tuple[str, ...], why: str) -> ConfigError:
        return ConfigError(
            f"{'.'.join(path)} of a {self._connector} connector cannot be expressed as data: {why}"
        )
