"""The mark that separates two epochs in a stream, and why a checkpoint is taken."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckpointKind(StrEnum):
    """Why a checkpoint is taken; it decides how long it is kept and what follows it."""

    PERIODIC = "PERIODIC"  # by time or by rows; the job runs on
    SAVEPOINT = "SAVEPOINT"  # asked for; kept until deleted by hand; the job runs on
    STOP = "STOP"  # the last before a stop: a later run continues from it
    FINAL = "FINAL"  # after the end of all input: a later run has nothing left to read

    @property
    def ends_run(self) -> bool:
        """Whether the run is over once this checkpoint's commit is noted."""
        return self in (CheckpointKind.STOP, CheckpointKind.FINAL)


@dataclass(frozen=True, slots=True)
class Barrier:
    """Flows between the records of epoch `checkpoint_id` and those of the next.

    Args:
        checkpoint_id: rises from barrier to barrier, gaps allowed.
        kind: why the checkpoint is taken.
    """

    checkpoint_id: int
    kind: CheckpointKind
