"""Store and read a part in one step, and the plainest manifest."""

from __future__ import annotations

from contextlib import closing

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Manifest, Part
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


def manifest_of(attempt: StorageAttempt, checkpoint_id: int, *parts: Part, job: str = "job") -> Manifest:
    """Return the manifest of a periodic checkpoint that has only these parts."""
    return Manifest(
        job=job,
        mode="STREAMING",
        checkpoint_id=checkpoint_id,
        kind=CheckpointKind.PERIODIC,
        execution_id="x-1",
        lineage="l-1",
        attempt=attempt.number,
        parent=None,
        created_ms=0,
        source_state={},
        operator_state={},
        sink_state={},
        committables={},
        graph={},
        parts=parts,
        counters={},
    )
