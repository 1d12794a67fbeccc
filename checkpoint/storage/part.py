"""A part that grows in a folder, and one that is read from it: a part may be larger than memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from checkpoint.manifest import Part
from checkpoint.storage.files import naming, sync
from pipeline.core.errors import CheckpointCorrupted, CheckpointError
from pipeline.core.faults import faultpoint

SPILL_BYTES: Final = 1 << 20
"""Bytes held back before they go to the operating system."""

MOST_HELD_BACK: Final = 16 * SPILL_BYTES
"""What may wait for room on the disk before `write` gives up: a part must not fill the memory instead."""


class LocalPartWriter:
    """One growing part; see `checkpoint.storage.base.PartWriter`.

    A write that finds no room keeps what it could not write and is tried again, at the next write
    or seal, from where it stopped. A failed fsync is never tried again.

    Args:
        path: where it grows; created here.
        uid, subtask: the operator it belongs to.
        place: moves the sealed file among the job's parts, or raises `Fenced`.
    """

    def __init__(self, path: Path, uid: str, subtask: int, place: Callable[[Path, int], str]) -> None:
        self._path = path
        self._uid = uid
        self._subtask = subtask
        self._place = place
        self._held_back: list[bytes] = []
        self._held_bytes = 0
        self._size = 0
        self._hash = hashlib.sha256()
        with naming("create", path):
            self._file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)

    @property
    def size_bytes(self) -> int:
        return self._size

    def write(self, data: bytes, /) -> None:
        self._held_back.append(data)
        self._held_bytes += len(data)
        self._size += len(data)
        if self._held_bytes < SPILL_BYTES:
            return
        try:
            self._spill()
        except CheckpointError as error:
            if not error.retryable or self._held_bytes > MOST_HELD_BACK:
                raise

    def seal(self, checkpoint_id: int) -> Part:
        self._spill()
        sync(self._file, self._path)
        name = self._place(self._path, checkpoint_id)
        faultpoint("P5")
        self._close()
        return Part(name, self._uid, self._subtask, self._hash.hexdigest(), self._size)

    def discard(self) -> None:
        if self._file < 0:
            return
        self._close()
        with naming("remove", self._path):
            self._path.unlink(missing_ok=True)  # gone with the staging folder if we were fenced

    def _spill(self) -> None:
        data = b"".join(self._held_back)
        written = 0
        try:
            with naming("write", self._path):
                while written < len(data):
                    written += os.write(self._file, memoryview(data)[written:])
        finally:
            self._hash.update(memoryview(data)[:written])
            self._held_back = [data[written:]] if written < len(data) else []
            self._held_bytes = len(data) - written

    def _close(self) -> None:
        os.close(self._file)
        self._file = -1


class LocalPartReader:
    """Reads a stored part and verifies it on the way; see `checkpoint.storage.base.PartReader`.

    Args:
        path: where it is.
        part: what the manifest says of it.
        file: opened at its beginning; closed with the reader.
    """

    def __init__(self, path: Path, part: Part, file: BinaryIO) -> None:
        self.name = str(path)
        self._path = path
        self._part = part
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        with naming("read", self._path):
            data = self._file.read(size)
        self._hash.update(data)
        if len(data) < size or size < 0:
            expect_checksum(self._path, self._hash.hexdigest(), self._part)
        return data

    def close(self) -> None:
        self._file.close()


def expect_checksum(path: Path, found: str, part: Part) -> None:
    """Raise `CheckpointCorrupted` unless the digest of a file's bytes is the one in the manifest."""
    if found != part.sha256:
        raise CheckpointCorrupted(
            f"{path} is corrupt: expected {part.size_bytes} bytes with SHA-256 {part.sha256}, found "
            f"{path.stat().st_size} bytes with {found}"
        )
