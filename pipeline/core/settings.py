"""Kinds of settings: how each is read from text, what it may be, and what its special values mean.

A setting is one line of `JobConfig`: its type, its default and one of these. Reading, checking and
explaining it follow from that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from pipeline.core.errors import ConfigError
from pipeline.core.restart import RestartStrategy


@dataclass(frozen=True, slots=True)
class Kind:
    """What the settings of one kind have in common.

    Args:
        read: turns text into a value; raises ValueError that says what it expected.
        check: refuses a value that is out of range, by the setting's name.
        none: what None means, for people; None where it is not allowed.
        unset: what it means that the setting is left to the engine, for people.
        secret: whether the value must not be shown.
    """

    read: Callable[[str], Any]
    check: Callable[[str, Any], None]
    none: str | None = None
    unset: str = ""
    secret: bool = False


KIND: Final = "kind"
"""Under this name a field of `JobConfig` carries its kind."""


def setting(default: Any, kind: Kind) -> Any:
    """Declare a field of `JobConfig`."""
    return field(default=default, metadata={KIND: kind}, repr=not kind.secret)


def whole(least: int) -> Kind:
    """A whole number, not below `least`."""

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ConfigError(f"{name} must be a whole number, not {value!r}")
        if value < least:
            raise ConfigError(f"{name} must be at least {least}, not {value}")

    return Kind(_whole_number, check)


def duration(least: timedelta = timedelta()) -> Kind:
    """A time, not below `least`."""

    def check(name: str, value: Any) -> None:
        _of_type(name, value, timedelta)
        if value < least:
            raise ConfigError(
                f"{name} must be at least {least.total_seconds():g} s, not {value.total_seconds():g} s"
            )

    return Kind(parse_duration, check)


def boolean() -> Kind:
    """Yes or no."""
    return Kind(_boolean, lambda name, value: _of_type(name, value, bool))


def one_of(*allowed: str) -> Kind:
    """One of a few names."""

    def check(name: str, value: Any) -> None:
        if value not in allowed:
            raise ConfigError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")

    return Kind(str, check)


def member(values: type[StrEnum]) -> Kind:
    """A member of an enumeration, in text by its name."""

    def read(text: str) -> StrEnum:
        try:
            return values(text.upper())
        except ValueError:
            raise ValueError(f"expected one of {', '.join(values)}") from None

    return Kind(read, lambda name, value: _of_type(name, value, values))


def textual(*, secret: bool = False) -> Kind:
    """A text, not empty."""

    def check(name: str, value: Any) -> None:
        shown = "the value given" if secret else repr(value)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{name} must be a text, not {shown}")

    return Kind(str, check, secret=secret)


def folder() -> Kind:
    """A path, or the URL of a place in a store."""

    def check(name: str, value: Any) -> None:
        if value is not None:
            _of_type(name, value, str, Path)

    return Kind(_folder, check)


def restarts() -> Kind:
    """A restart strategy; in text a number of attempts, or off."""
    return Kind(_restart, lambda name, value: _of_type(name, value, RestartStrategy))


def optional(kind: Kind, none: str, unset: str = "") -> Kind:
    """A setting that can be switched off, by None or in text by `off`.

    Args:
        none: what that means, for people.
        unset: what it means that the setting is left to the engine.
    """

    def read(text: str) -> Any:
        if text.lower() in ("off", "none"):
            return None
        try:
            return kind.read(text)
        except ValueError as error:
            raise ValueError(f"{error}, or off") from None

    def check(name: str, value: Any) -> None:
        if value is not None:
            kind.check(name, value)

    return Kind(read, check, none, unset, kind.secret)


_UNITS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_duration(text: str) -> timedelta:
    """Read `500ms`, `10s`, `5m`, `2h`, `1d`, or a bare number of milliseconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", text)
    if match is None:
        raise ValueError("expected a duration such as 500ms, 10s or 5m")
    return timedelta(milliseconds=float(match[1]) * _UNITS[match[2] or "ms"])


def _of_type(name: str, value: object, *types: type) -> None:
    if not isinstance(value, types):
        expected = " or ".join(kind.__name__ for kind in types)
        raise ConfigError(f"{name} must be a {expected}, not {value!r}")


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("expected a whole number") from None


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in values:
        raise ValueError("expected true or false")
    return values[text.lower()]


def _folder(text: str) -> str | Path:
    if not text:
        raise ValueError("expected the path of a folder")
    return text if "://" in text else Path(text)


def _restart(text: str) -> RestartStrategy:
    if text.lower() not in ("none", "off") and not text.isdecimal():
        raise ValueError("expected a number of attempts, or off")
    attempts = int(text) if text.isdecimal() else 0
    return RestartStrategy.fixed_delay(attempts) if attempts else RestartStrategy.none()
