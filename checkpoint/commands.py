"""What the coordinator tells the shell to do: plain values, carried out in the order given."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from checkpoint.barrier import Barrier, CheckpointKind
from pipeline.core.errors import PipelineError

Participant = Hashable
"""A participant that must acknowledge each barrier, such as (uid, subtask)."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Let every source snapshot its position and send the barrier."""

    barrier: Barrier


@dataclass(frozen=True, slots=True)
class Abandon:
    """Tell everybody that the checkpoint will not complete; nothing is aborted for it."""

    checkpoint_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Persist:
    """Store the parts, then create the manifest; answer with `manifest_written` or `persist_failed`."""

    checkpoint_id: int
    kind: CheckpointKind
    snapshots: Mapping[Participant, object]


@dataclass(frozen=True, slots=True)
class Commit:
    """Let every sink commit up to this checkpoint; answer with `committed`. It is decided: no way back."""

    checkpoint_id: int


@dataclass(frozen=True, slots=True)
class Note:
    """Note durably that all has been committed; answer with `noted`."""

    checkpoint_id: int


@dataclass(frozen=True, slots=True)
class Clean:
    """Delete what retention does not keep; nothing waits for it."""

    newest: int


@dataclass(frozen=True, slots=True)
class Fail:
    """Fail the run with this error."""

    error: PipelineError


@dataclass(frozen=True, slots=True)
class Finished:
    """The checkpoint that ends the run is committed and noted: the run may leave."""

    kind: CheckpointKind


Command = Trigger | Abandon | Persist | Commit | Note | Clean | Fail | Finished
