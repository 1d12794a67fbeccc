"""How the parts of a checkpoint are named."""

from __future__ import annotations

import re
from typing import Final

_PART: Final = re.compile(r"(\d{12})-")


def part_name(checkpoint_id: int, attempt: int, serial: str, uid: str, subtask: int) -> str:
    """Name a part so that no other attempt uses the name, and people see what it is.

    Args:
        checkpoint_id: the checkpoint that it is for, or the lowest that it may be for.
        serial: unique among the parts of the attempt.
    """
    readable = re.sub(r"[^0-9A-Za-z_]+", "_", uid)[:60]
    return f"{checkpoint_id:012d}-{attempt}-{serial}-{readable}-{subtask}"


def part_number(name: str) -> int | None:
    """Return the checkpoint id in a part's name; None if it is not the name of a part."""
    match = _PART.match(name)
    return int(match[1]) if match else None
