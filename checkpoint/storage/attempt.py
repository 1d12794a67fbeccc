"""One attempt's rights on a job's folder, which end the moment a newer attempt is claimed."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Json, Manifest, Part
from checkpoint.retention import Deletions, Stored, plan_deletions
from checkpoint.sealed import seal
from checkpoint.storage.base import DISCARDED, History
from checkpoint.storage.damage import older_offered
from checkpoint.storage.files import naming, publish, sync_folder, write_new
from checkpoint.storage.layout import JobFolder
from checkpoint.storage.part import LocalPartReader, LocalPartWriter, expect_checksum
from checkpoint.storage.part_names import part_name
from pipeline.core.clock import Clock
from pipeline.core.errors import CheckpointCorrupted, CheckpointError, Fenced, InternalError
from pipeline.core.faults import faultpoint

_BLOCK: Final = 1 << 20
"""Bytes read at once while a part is verified: parts may be larger than memory."""

_ATTEMPTS_KEPT: Final = 20
"""Attempts whose word is kept for people to read; a job that restarts all day must not fill its folder."""


class LocalAttempt:
    """Writes into its own staging folder, then links into the job's.

    A newer attempt renames the staging folder away. From then on whatever this one writes or
    links fails with "no such file", which is how a process that was stopped and continued, or
    whose machine was thought dead, is kept from deciding anything.
    """

    def __init__(self, folder: JobFolder, number: int, history: History, clock: Clock) -> None:
        self._folder = folder
        self._number = number
        self._history = history
        self._clock = clock
        self._staging = folder.staging(number)
        self._staged = itertools.count(1)
        self._noted = history.noted
        self._stored: dict[int, Stored] = {}

    @property
    def number(self) -> int:
        return self._number

    @property
    def history(self) -> History:
        return self._history

    def begin(self, *, execution_id: str, lineage: str, restored: int | None) -> None:
        claim = {
            "attempt": self._number,
            "execution_id": execution_id,
            "lineage": lineage,
            "restored": restored,
            "first_checkpoint_id": self._history.next_checkpoint_id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started_ms": self._clock.now_ms(),
        }
        self._publish_once(claim, self._folder.claim(self._number))

    def finish(self, status: str, details: Mapping[str, Json] | None = None) -> None:
        outcome = {"attempt": self._number, "status": status, "ended_ms": self._clock.now_ms()}
        self._publish_once({**outcome, **(details or {})}, self._folder.outcome(self._number))

    def open_part(self, uid: str, subtask: int) -> LocalPartWriter:
        def place(path: Path, checkpoint_id: int) -> str:
            with self._fenced_if_gone():
                return self._place(path, checkpoint_id, uid, subtask)

        with self._fenced_if_gone():
            return LocalPartWriter(self._next_staged(), uid, subtask, place)

    def read_part(self, part: Part) -> LocalPartReader:
        path = self._folder.part(part.name)
        with _missing_is_corrupt(path, part), naming("read", path):
            return LocalPartReader(path, part, path.open("rb"))

    def write_manifest(self, manifest: Manifest) -> None:
        data = manifest.to_bytes()
        target = self._folder.manifest(manifest.checkpoint_id)
        sync_folder(self._folder.parts)
        with self._fenced_if_gone():
            staged = self._stage(data)
            faultpoint("P6")
            created = publish(staged, target)
        faultpoint("P7")
        if not created:
            self._expect_ours(data, target)
        self._remove_staged(staged)
        self._stored[manifest.checkpoint_id] = Stored.of(manifest)

    def note(self, checkpoint_id: int) -> None:
        note = {"checkpoint_id": checkpoint_id, "attempt": self._number, "noted_ms": self._clock.now_ms()}
        with self._fenced_if_gone():
            staged = self._stage(seal(note))
            publish(staged, self._folder.note(checkpoint_id))
        self._remove_staged(staged)
        self._noted = max(self._noted, checkpoint_id)

    def clean(self, retention: int) -> Deletions:
        self.ensure_newest()
        there = [self._read_stored(checkpoint_id) for checkpoint_id in self._folder.checkpoints()]
        deletions = plan_deletions(there, self._folder.part_names(), noted=self._noted, retention=retention)
        _delete([self._folder.manifest(one) for one in deletions.checkpoints])
        faultpoint("P15")
        _delete([self._folder.part(name) for name in deletions.parts])
        _delete([self._folder.note(one) for one in self._folder.notes() if one < self._noted])
        self._clean_attempts()
        for checkpoint_id in deletions.checkpoints:
            self._stored.pop(checkpoint_id, None)
        return deletions

    def discard(self) -> None:
        self.finish(DISCARDED)
        stored = [self._read_stored(checkpoint_id) for checkpoint_id in self._folder.checkpoints()]
        kept = [one for one in stored if one.kind is CheckpointKind.SAVEPOINT]
        _delete([self._folder.manifest(one.checkpoint_id) for one in stored if one not in kept])
        needed = frozenset[str]().union(*(one.parts for one in kept))
        _delete([self._folder.part(name) for name in self._folder.part_names() if name not in needed])

    def ensure_newest(self) -> None:
        if not self._staging.is_dir():
            raise self._fenced()

    def latest(self) -> Manifest | None:
        checkpoint_id = self._history.resume_from
        return None if checkpoint_id is None else self.load(checkpoint_id)

    def load(self, checkpoint_id: int) -> Manifest:
        try:
            return self._verified(checkpoint_id)
        except CheckpointCorrupted as error:
            error.hint = older_offered(checkpoint_id, self._folder.checkpoints(), self._verified)
            raise

    def _stage(self, data: bytes) -> Path:
        staged = self._next_staged()
        write_new(staged, data)
        return staged

    def _next_staged(self) -> Path:
        return self._staging / str(next(self._staged))  # never used twice: a link shares the file's bytes

    def _place(self, staged: Path, checkpoint_id: int, uid: str, subtask: int) -> str:
        """Move a staged file among the parts, under a name that no other attempt uses."""
        name = part_name(checkpoint_id, self._number, staged.name, uid, subtask)
        with naming("rename", staged):
            staged.rename(self._folder.part(name))
        return name

    def _remove_staged(self, staged: Path) -> None:
        with naming("remove", staged):
            staged.unlink(missing_ok=True)  # gone if we were fenced since

    def _publish_once(self, body: dict[str, Any], target: Path) -> None:
        with self._fenced_if_gone():
            staged = self._stage(seal(body))
            if not publish(staged, target):
                raise InternalError(f"attempt {self._number} has written {target} before")
        self._remove_staged(staged)

    @contextmanager
    def _fenced_if_gone(self) -> Generator[None]:
        try:
            yield
        except CheckpointError as error:
            if isinstance(error.__cause__, FileNotFoundError) and not self._staging.is_dir():
                raise self._fenced() from error
            raise

    def _fenced(self) -> Fenced:
        newest = max(self._folder.attempts(), default=0)
        return Fenced(
            f"attempt {self._number} may write no more: attempt {newest} has taken the job over",
            hint="nothing is lost: the newer attempt continues from the last complete checkpoint",
        )

    def _expect_ours(self, data: bytes, target: Path) -> None:
        with naming("read", target):
            found = target.read_bytes()
        if found == data:
            return
        other = Manifest.from_bytes(found, str(target))
        raise Fenced(
            f"checkpoint {other.checkpoint_id} was decided by attempt {other.attempt} already, "
            f"this is attempt {self._number}",
            hint="another run works on this job: stop one of them",
        )

    def _verified(self, checkpoint_id: int) -> Manifest:
        manifest = self._folder.read_manifest(checkpoint_id)
        logs = () if self._history.is_noted(checkpoint_id) else manifest.logs
        for part in (*manifest.parts, *logs):
            _verify(self._folder.part(part.name), part)
        return manifest

    def _read_stored(self, checkpoint_id: int) -> Stored:
        if checkpoint_id not in self._stored:
            try:
                self._stored[checkpoint_id] = Stored.of(self._folder.read_manifest(checkpoint_id))
            except CheckpointError:
                return Stored(checkpoint_id, None)
        return self._stored[checkpoint_id]

    def _clean_attempts(self) -> None:
        """Drop what earlier attempts had staged, and all of those that nobody will ask for again."""
        earlier = [number for number in self._folder.attempts() if number < self._number]
        for number in earlier[:-_ATTEMPTS_KEPT]:
            shutil.rmtree(self._folder.attempt(number), ignore_errors=True)
        for number in earlier[-_ATTEMPTS_KEPT:]:
            shutil.rmtree(self._folder.fenced(number), ignore_errors=True)


def _delete(paths: list[Path]) -> None:
    """Delete the files durably, so that those deleted after them cannot be missed by these."""
    for path in paths:
        with naming("delete", path):
            path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        sync_folder(folder)


def _verify(path: Path, part: Part) -> None:
    digest = hashlib.sha256()
    with _missing_is_corrupt(path, part), naming("read", path), path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    expect_checksum(path, digest.hexdigest(), part)


@contextmanager
def _missing_is_corrupt(path: Path, part: Part) -> Generator[None]:
    try:
        yield
    except CheckpointError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise CheckpointCorrupted(f"{path} is missing: a part of operator {part.uid}") from error
        raise
