"""Durations as whole milliseconds, and as words for people."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pipeline.core.errors import ConfigError

_MILLISECOND: Final = timedelta(milliseconds=1)
_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))


def milliseconds(name: str, duration: timedelta, *, least: int = 1) -> int:
    """Turn a duration into milliseconds, the unit in which the engine counts time.

    Args:
        name: what the duration is for, for the error message.
        duration: a whole number of milliseconds.
        least: the smallest number of milliseconds allowed.

    Raises:
        ConfigError: not a timedelta, not whole milliseconds, or below `least`.
    """
    if not isinstance(duration, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(
            f"{name} must be a timedelta, not {duration!r}", hint="write timedelta(minutes=5), for example"
        )
    count, rest = divmod(duration, _MILLISECOND)
    if rest:
        raise ConfigError(f"{name} must be whole milliseconds, not {duration}")
    if count < least:
        raise ConfigError(f"{name} must be at least {least} ms, not {count} ms")
    return count


def whole_ms(duration: timedelta) -> int:
    """Round a duration to milliseconds.

    Example:
        >>> whole_ms(timedelta(seconds=1.5))
        1500
    """
    return round(duration / _MILLISECOND)


def describe_duration(ms: int) -> str:
    """Say a duration in the largest unit that needs no fraction.

    Example:
        >>> describe_duration(300_000), describe_duration(90_000)
        ('5 min', '90 s')
    """
    for unit, size in _UNITS:
        if ms and ms % size == 0:
            return f"{ms // size} {unit}"
    return "0 s"
