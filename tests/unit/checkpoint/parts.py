"""Store and read a part in one step."""

from __future__ import annotations

from contextlib import closing

from checkpoint.manifest import Part
from checkpoint.storage.base import StorageAttempt


def store(
    attempt: StorageAttempt, checkpoint_id: int, data: bytes, *, uid: str = "u", subtask: int = 0
) -> Part:
    """Store a part as the runtime does: what cannot be stored leaves nothing."""
    part = attempt.open_part(uid, subtask)
    try:
        part.write(data)
        return part.seal(checkpoint_id)
    except BaseException:
        part.discard()
        raise


def read(attempt: StorageAttempt, part: Part) -> bytes:
    """Return a stored part, verified."""
    with closing(attempt.read_part(part)) as reader:
        return reader.read()
