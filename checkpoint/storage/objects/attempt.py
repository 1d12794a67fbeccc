"""One attempt's rights on a job's objects, which end the moment a newer attempt is claimed."""

from __future__ import annotations

import itertools
import os
import socket
import threading
from collections.abc import Iterable, Mapping

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Json, Manifest, Part
from checkpoint.retention import Deletions, Stored, plan_deletions
from checkpoint.storage.base import DISCARDED, History
from checkpoint.storage.damage import older_offered
from checkpoint.storage.objects.job import JobObjects
from checkpoint.storage.objects.ledger import Ledger
from checkpoint.storage.objects.part import Chunks, ObjectPartReader, ObjectPartWriter, read_chunks
from checkpoint.storage.part_names import part_name, part_number
from pipeline.core.clock import Clock
from pipeline.core.errors import CheckpointCorrupted, CheckpointError, Fenced, InternalError
from pipeline.core.faults import faultpoint


class ObjectAttempt:
    """Writes objects that count for nothing until an entry of the job's log names them.

    Args:
        job: the job's objects.
        ledger: this attempt's share in the job's log.
        history: what had happened before its claim.
        clock: for the times that people read.
    """

    def __init__(self, job: JobObjects, ledger: Ledger, history: History, clock: Clock) -> None:
        self._job = job
        self._ledger = ledger
        self._history = history
        self._clock = clock
        self._begun = False
        self._serials = itertools.count(1)
        self._pending = PendingParts()
        self._known: dict[int, Stored] = {}

    @property
    def number(self) -> int:
        return self._ledger.attempt

    @property
    def history(self) -> History:
        return self._history

    def begin(self, *, execution_id: str, lineage: str, restored: int | None) -> None:
        if self._begun:
            raise InternalError(f"attempt {self.number} has written how it begins before")
        self._ledger.begin(
            execution_id=execution_id,
            lineage=lineage,
            restored=restored,
            first_checkpoint_id=self._history.next_checkpoint_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_ms=self._clock.now_ms(),
        )
        self._begun = True

    def finish(self, status: str, details: Mapping[str, Json] | None = None) -> None:
        self._ledger.end(status=status, ended_ms=self._clock.now_ms(), details=dict(details or {}))

    # --- parts -------------------------------------------------------------------------------------

    def open_part(self, uid: str, subtask: int) -> ObjectPartWriter:
        self.ensure_newest()
        coming = max((self._history.next_checkpoint_id, *(one + 1 for one in self._ledger.decided)))
        name = part_name(coming, self.number, str(next(self._serials)), uid, subtask)
        self._pending.begun(name)
        return ObjectPartWriter(Chunks(self._job, name), uid, subtask, self)

    def read_part(self, part: Part) -> ObjectPartReader:
        return ObjectPartReader(self._job, part)

    def sealed(self, name: str, checkpoint_id: int) -> None:
        """Keep a part of this attempt's for a coming checkpoint."""
        self._pending.sealed(name, checkpoint_id)

    def discarded(self, name: str) -> None:
        """Leave what is stored of a part to the clean-up."""
        self._pending.forget([name])

    # --- checkpoints -----------------------------------------------------------------------------------

    def write_manifest(self, manifest: Manifest) -> None:
        data = manifest.to_bytes()
        checkpoint_id = manifest.checkpoint_id
        if checkpoint_id in self._ledger.decided:
            self._expect_ours(checkpoint_id, data)
            return
        self.ensure_newest()
        key = self._job.keys.manifest(checkpoint_id, self.number)
        self._job.store.put(key, data)
        faultpoint("P6")
        try:
            self._ledger.decide(checkpoint_id)
        except Fenced:
            self._job.store.delete([key])
            raise
        faultpoint("P7")
        self._known[checkpoint_id] = Stored.of(manifest)
        self._pending.forget(part.name for part in (*manifest.parts, *manifest.logs))

    def note(self, checkpoint_id: int) -> None:
        self._ledger.note(checkpoint_id, self._clock.now_ms())

    def latest(self) -> Manifest | None:
        checkpoint_id = self._history.resume_from
        return None if checkpoint_id is None else self.load(checkpoint_id)

    def load(self, checkpoint_id: int) -> Manifest:
        try:
            return self._verified(checkpoint_id)
        except CheckpointCorrupted as error:
            error.hint = older_offered(checkpoint_id, sorted(self._ledger.decided), self._verified)
            raise

    def ensure_newest(self) -> None:
        self._ledger.ensure_newest()

    # --- cleaning --------------------------------------------------------------------------------------

    def clean(self, retention: int) -> Deletions:
        self.ensure_newest()
        there = [self._read_stored(one) for one in sorted(self._ledger.decided)]
        chunks = self._job.chunks()
        parts = self._pending.judged({name: part_number(name) for name in chunks})
        deletions = plan_deletions(there, parts, noted=self._ledger.noted, retention=retention)
        self._delete_checkpoints(deletions.checkpoints)
        self._job.store.delete(self._undecided())
        faultpoint("P15")
        self._job.store.delete(key for name in deletions.parts for key in chunks[name])
        self._job.store.delete(map(self._job.keys.slot, self._ledger.take_superseded()))
        return deletions

    def discard(self) -> None:
        there = [self._read_stored(one) for one in sorted(self._ledger.decided)]
        kept = [one for one in there if one.kind is CheckpointKind.SAVEPOINT]
        ids = [one.checkpoint_id for one in kept]
        self._ledger.end(status=DISCARDED, ended_ms=self._clock.now_ms(), kept=ids)
        self._delete_checkpoints([one.checkpoint_id for one in there if one not in kept])
        needed = frozenset[str]().union(*(one.parts for one in kept))
        chunks = self._job.chunks()
        self._job.store.delete(key for name in chunks if name not in needed for key in chunks[name])

    def _delete_checkpoints(self, checkpoints: Iterable[int]) -> None:
        """Delete manifests before anything that they name."""
        deleted = tuple(checkpoints)
        self._job.store.delete(self._manifest_key(one) for one in deleted)
        self._ledger.forget(deleted)
        for one in deleted:
            self._known.pop(one, None)

    def _undecided(self) -> list[str]:
        """List the manifests of earlier attempts that died, or were fenced, before they had decided."""
        keys = self._job.keys
        decided = {keys.manifest(one, attempt) for one, attempt in self._ledger.decided.items()}
        return [
            key
            for key in self._job.store.list(keys.manifests)
            if key not in decided and keys.manifest_attempt(key) < self.number
        ]

    # --- reading ---------------------------------------------------------------------------------------

    def _manifest_key(self, checkpoint_id: int) -> str:
        return self._job.keys.manifest(checkpoint_id, self._ledger.decided.get(checkpoint_id, 0))

    def _read_manifest(self, checkpoint_id: int) -> Manifest:
        return self._job.read_manifest(checkpoint_id, self._manifest_key(checkpoint_id))

    def _read_stored(self, checkpoint_id: int) -> Stored:
        if checkpoint_id not in self._known:
            try:
                self._known[checkpoint_id] = Stored.of(self._read_manifest(checkpoint_id))
            except CheckpointError:
                return Stored(checkpoint_id, None)
        return self._known[checkpoint_id]

    def _verified(self, checkpoint_id: int) -> Manifest:
        manifest = self._read_manifest(checkpoint_id)
        logs = () if self._history.is_noted(checkpoint_id) else manifest.logs
        for part in (*manifest.parts, *logs):
            for _ in read_chunks(self._job, part):
                pass
        return manifest

    def _expect_ours(self, checkpoint_id: int, data: bytes) -> None:
        self.ensure_newest()
        if self._job.store.get(self._manifest_key(checkpoint_id)) == data:
            return
        winner = self._ledger.decided[checkpoint_id]
        raise Fenced(
            f"checkpoint {checkpoint_id} was decided by attempt {winner} already, "
            f"this is attempt {self.number}",
            hint="another run works on this job: stop one of them",
        )


class PendingParts:
    """The parts of an attempt that no manifest lists yet; any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[str, int | None] = {}

    def begun(self, name: str) -> None:
        """Keep a part while it grows."""
        with self._lock:
            self._numbers[name] = None

    def sealed(self, name: str, checkpoint_id: int) -> None:
        """Keep a part for a checkpoint that has no manifest yet."""
        with self._lock:
            self._numbers[name] = checkpoint_id

    def forget(self, names: Iterable[str]) -> None:
        """Leave parts to the manifest that lists them, or to nobody."""
        with self._lock:
            for name in names:
                self._numbers.pop(name, None)

    def judged(self, numbers: Mapping[str, int | None]) -> dict[str, int]:
        """Return each part with the number to judge it by, without those that still grow.

        Args:
            numbers: of all stored parts; those in their names are the lowest they can be for.
        """
        with self._lock:
            known = {**numbers, **self._numbers}
        return {name: number for name in numbers if (number := known[name]) is not None}
