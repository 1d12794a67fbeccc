"""Which checkpoints and parts may be deleted: a pure decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint whose manifest exists.

    Args:
        checkpoint_id: its number.
        kind: why it was taken; None if the manifest cannot be read.
        parts: names of the parts it needs.
        logs: names of the epoch logs it needs until its commit is noted.
    """

    checkpoint_id: int
    kind: CheckpointKind | None
    parts: frozenset[str] = frozenset()
    logs: frozenset[str] = frozenset()

    @classmethod
    def of(cls, manifest: Manifest) -> Stored:
        """Say what a manifest that could be read needs."""
        parts, logs = (frozenset(part.name for part in one) for one in (manifest.parts, manifest.logs))
        return cls(manifest.checkpoint_id, manifest.kind, parts, logs)


@dataclass(frozen=True, slots=True)
class Deletions:
    """What to delete: manifests first, so that none ever names a part that is gone."""

    checkpoints: tuple[int, ...]
    parts: tuple[str, ...]


def plan_deletions(
    stored: Sequence[Stored], parts: Mapping[str, int], *, noted: int, retention: int
) -> Deletions:
    """Decide what goes.

    The newest `retention` checkpoints stay, savepoints and unreadable manifests beside them, and
    all whose commit is not noted. A part goes if nothing that stays needs it and it can no longer
    become needed: a manifest is there with its own number or a higher one. Parts above the newest
    manifest may belong to a checkpoint being taken. While a manifest that stays is unreadable no
    part is deleted, for nobody knows which ones it needs.

    Args:
        parts: each stored part and the number of the checkpoint it was written for.
        noted: the highest checkpoint whose commit is noted.
        retention: at least 1.
    """
    counted = sorted(one.checkpoint_id for one in stored if _counts(one.kind))
    deleted = {one for one in counted[: -max(1, retention)] if one <= noted}
    kept = [one for one in stored if one.checkpoint_id not in deleted]
    return Deletions(tuple(sorted(deleted)), _unneeded(kept, parts, noted))


def _counts(kind: CheckpointKind | None) -> bool:
    return kind is not None and kind is not CheckpointKind.SAVEPOINT


def _unneeded(kept: Sequence[Stored], parts: Mapping[str, int], noted: int) -> tuple[str, ...]:
    if any(one.kind is None for one in kept):
        return ()
    needed = frozenset[str]().union(
        *(one.parts for one in kept), *(one.logs for one in kept if one.checkpoint_id > noted)
    )
    newest = max((one.checkpoint_id for one in kept), default=0)
    return tuple(sorted(name for name, of in parts.items() if of <= newest and name not in needed))
