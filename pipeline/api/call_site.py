"""Where in the user's code a method of the job API was called."""

from __future__ import annotations

import inspect
from typing import Final

_API: Final = __name__.rpartition(".")[0] + "."


def call_site() -> str | None:
    """Return `file:line` of the innermost caller outside `pipeline.api`; None if there is none."""
    frame = inspect.currentframe()
    while frame is not None:
        if not str(frame.f_globals.get("__name__", "")).startswith(_API):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return None
