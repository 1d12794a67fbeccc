"""Waiting for what another process does, by looking at the folder it does it in."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(condition: Callable[[], bool], what: str, timeout: float = 60) -> None:
    """Look until `condition` holds: another process cannot be waited for in any other way."""
    until = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < until, f"{what} did not happen within {timeout} s"
        time.sleep(0.01)
