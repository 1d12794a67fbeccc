"""The manifest of a checkpoint: all that a restart needs; that it exists is the decision to commit."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from checkpoint.barrier import CheckpointKind
from checkpoint.sealed import seal, unseal
from pipeline.core.errors import CheckpointCorrupted, CheckpointError

FORMAT: Final = "pipeline-checkpoint"
VERSION: Final = 3

Json = Any
"""A value that JSON restores as an equal one: the state encoding ensures that."""


@dataclass(frozen=True, slots=True)
class Part:
    """A stored object that belongs to a checkpoint.

    Args:
        name: its name among the parts of the job, never a path.
        uid: the operator it belongs to.
        subtask: counted from 0.
        sha256: of its bytes, in hexadecimal.
        size_bytes: how many bytes it has.
    """

    name: str
    uid: str
    subtask: int
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One complete checkpoint.

    Args:
        job: the job's name.
        mode: STREAMING, BATCH_ROLLER or SQL_TASK.
        checkpoint_id: larger than that of every manifest before it.
        kind: why it was taken; after FINAL there is nothing left to read.
        execution_id: the execution that took it.
        lineage: names one unbroken line of epochs; a fresh start or going back begins a new one.
        attempt: the start of the job that took it.
        parent: the checkpoint this run was restored from or took before, None for the first.
        created_ms: wall time, milliseconds UTC.
        source_state: position of each source, by uid.
        operator_state: what is small or a summary of what the parts hold, by uid.
        sink_state: what each sink has written, by uid.
        committables: by sink uid, for each subtask the transaction handles to commit, oldest first.
        graph: by uid, kind, parallelism and max_parallelism of each operator, and its windows if it has any.
        parts: the stored objects.
        logs: the epoch logs from which `committables` can be written again, needed until they are noted.
        counters: what the job has counted since the beginning of the lineage, by name.
        ended: uids of the sources whose input had ended; they are not read again.
    """

    job: str
    mode: str
    checkpoint_id: int
    kind: CheckpointKind
    execution_id: str
    lineage: str
    attempt: int
    parent: int | None
    created_ms: int
    source_state: Mapping[str, Json]
    operator_state: Mapping[str, Json]
    sink_state: Mapping[str, Json]
    committables: Mapping[str, Sequence[Sequence[Json]]]
    graph: Mapping[str, Mapping[str, Json]]
    parts: Sequence[Part]
    logs: Sequence[Part] = ()
    counters: Mapping[str, int]
    ended: Sequence[str] = ()

    @property
    def size_bytes(self) -> int:
        """The size of all parts together, without the logs."""
        return sum(part.size_bytes for part in self.parts)

    def to_bytes(self) -> bytes:
        """Render as sealed JSON.

        Raises:
            InternalError: a state or handle is not plain JSON.
        """
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        for name in ("parts", "logs"):
            fields[name] = [dataclasses.asdict(part) for part in fields[name]]
        return seal({"format": FORMAT, "version": VERSION, **fields})

    @classmethod
    def from_bytes(cls, data: bytes, path: str) -> Manifest:
        """Read and verify what `to_bytes` returned.

        Args:
            path: where `data` was read, for messages.

        Raises:
            CheckpointCorrupted: it is not what was written.
            CheckpointError: another release wrote it, in a version this one does not read.
        """
        body = unseal(data, path)
        found = body.pop("format", None), body.pop("version", None)
        if found[0] != FORMAT:
            raise CheckpointCorrupted(f"{path} is not a manifest: expected format {FORMAT}, found {found[0]}")
        if found[1] != VERSION:
            raise CheckpointError(
                f"{path} has version {found[1]} of the manifest format, this release reads version {VERSION}",
                retryable=False,
                hint="start the job with the release that wrote it, or a newer one",
            )
        try:
            body["kind"] = CheckpointKind(body["kind"])
            for name in ("parts", "logs"):
                body[name] = tuple(Part(**part) for part in body[name])
            body["ended"] = tuple(body["ended"])
            manifest = cls(**body)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointCorrupted(f"{path} is not a manifest of version {VERSION}: {error}") from error
        for part in (*manifest.parts, *manifest.logs):
            if not _PART_NAME.fullmatch(part.name):
                raise CheckpointCorrupted(
                    f"{path} names the part {part.name!r}, which cannot be a part's name"
                )
        return manifest


_PART_NAME: Final = re.compile(r"\d{12}-[0-9A-Za-z_.-]+")
"""Checkpoint id first, and no separator: a manifest must not lead to a file outside of its folder."""
