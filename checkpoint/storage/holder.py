"""What a lock says about the process that holds it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast

from pipeline.core.clock import Clock


def this_process(clock: Clock) -> dict[str, Any]:
    """Return what this process writes into a lock that it gets now."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "since_ms": clock.now_ms()}


def read_holder(data: bytes) -> Mapping[str, Any]:
    """Read what a process has written into a lock; nothing if it has not come to that yet."""
    with suppress(ValueError):
        read: object = json.loads(data)
        if isinstance(read, dict):
            return cast("dict[str, Any]", read)
    return {}


def describe(holder: Mapping[str, Any]) -> str:
    """Name a holder, for a message."""
    try:
        since = datetime.fromtimestamp(holder["since_ms"] / 1000, tz=UTC)
        return f"process {holder['pid']} on {holder['host']}, since {since:%Y-%m-%d %H:%M:%S} UTC,"
    except (KeyError, OverflowError, TypeError, ValueError):
        return "a process that has not given its name yet"
