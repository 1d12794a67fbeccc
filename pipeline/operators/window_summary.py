"""What people can read of open windows in a checkpoint, beside the state that is stored for the engine."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from pipeline.windows.assigners import Window
from state.backend import WindowTable
from state.encoding import to_json

LISTED: Final = 100
"""Keys of windows that are listed: a manifest is read as a whole, and by people."""


def summary(table: WindowTable[Any], value_type: Any) -> dict[str, Any]:
    """Return how many keys all windows have together, and the first of them with what they hold."""
    windows: list[dict[str, Any]] = []
    entries = 0
    for stored in table.windows():
        keys, values = table.columns(stored)
        entries += len(keys)
        window = Window(*stored)
        windows += [
            {
                "key": key,
                "start": window.start,
                "end": window.end,
                "accumulator": to_json(value, value_type=value_type),
            }
            for key, value in islice(zip(keys, values, strict=True), LISTED - len(windows))
        ]
    return {"entries": entries, "windows": windows}
