"""Settings of the command line: `--set NAME=VALUE`."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.core.errors import ConfigError


def parse_settings(items: Iterable[str]) -> dict[str, str]:
    """Return the settings by field name, also those written as `checkpoint.interval` or with dashes.

    Raises:
        ConfigError: one of them is not NAME=VALUE.

    Example:
        >>> parse_settings(["checkpoint-interval=10s"])
        {'checkpoint_interval': '10s'}
    """
    parsed: dict[str, str] = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"--set expects NAME=VALUE, found {item!r}")
        parsed[name.strip().replace("-", "_").replace(".", "_")] = value
    return parsed
