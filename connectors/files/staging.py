"""A file that grows beside its final name, unseen, until a commit renames it."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Final, Self, TypedDict

from connectors.files.errors import file_error
from connectors.files.flock import CANNOT_LOCK, try_flock
from connectors.files.owner import Owner
from connectors.files.rights import copy_rights
from pipeline.core.errors import SinkError
from pipeline.core.faults import faultpoint

_log = logging.getLogger(__name__)

SPILL_BYTES: Final = 256 * 1024
"""Bytes held back before they go to the operating system."""

_BLOCK_BYTES: Final = 1024 * 1024


class StagedHandle(TypedDict):
    """What a manifest must know to commit a file: paths, bytes, SHA-256 in hexadecimal."""

    staged: str
    final: str
    length: int
    sha256: str


class StagedFile:
    """One growing file. Its bytes and their SHA-256 are known at every moment.

    A write or an fsync that failed is not tried again: what reached the disk is unknown then (the
    kernel drops the pages and reports success the next time), so every later call fails as well.

    As long as it is open it is locked, by which a later attempt tells whether its writer lives.

    Args:
        descriptor: of the open file, at its end.
        path: its staged name.
        final: the name it is meant for.
    """

    def __init__(self, descriptor: int, path: Path, final: Path) -> None:
        self.final = final
        self.path = path
        self.length = 0
        self._fd = descriptor
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._hash = hashlib.sha256()
        self._unsynced = True  # the folder does not durably know it yet
        self._in_folder = False
        self._broken: SinkError | None = None

    @classmethod
    def create(cls, owner: Owner, final: Path) -> Self:
        """Begin an empty file; what it will replace lends it its rights.

        Raises:
            SinkError: it cannot be created.
        """
        path = owner.new_path(final)
        try:
            # Nobody reads it before it has the rights of what it replaces: that may be secret.
            mode = 0o600 if final.exists() else 0o666
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode)
            _is_ours_alone(descriptor)
            copy_rights(final, descriptor)
        except OSError as error:
            raise file_error(SinkError, "create a file in", final.parent, error) from error
        return cls(descriptor, path, final)

    @classmethod
    def reopen(cls, owner: Owner, final: Path, staged: Path, length: int, sha256: str) -> Self | None:
        """Continue a staged file of an earlier attempt, in place, after its first `length` bytes.

        Only where nobody else can write to it any more: a process that was stopped still has it
        open and may wake up. It gets a name of this attempt, so that no earlier one that wakes up
        amid its own clean-up removes it.

        Returns:
            None if it may have another writer, is elsewhere, or does not begin with those bytes.
        """
        if staged.parent != final.parent or Owner.of_file(staged) is None:
            return None
        try:
            descriptor = os.open(staged, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # gone, or not ours to write; the next read reports what is wrong
            return None
        file = cls(descriptor, owner.new_path(final), final)
        try:
            if _is_ours_alone(descriptor) and file._take_beginning(length, sha256):
                staged.rename(file.path)
                os.ftruncate(descriptor, length)
                return file
        except OSError as error:
            file.close()
            raise file_error(SinkError, "continue", staged, error) from error
        file.close()
        return None

    def write(self, data: bytes) -> None:
        """Append `data`."""
        self._pending.append(data)
        self._pending_bytes += len(data)
        self.length += len(data)
        if self._pending_bytes >= SPILL_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._check()
        if not self._pending:
            return
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._unsynced = True
        try:
            _write_all(self._fd, data)
        except OSError as error:
            raise self._break("write", error) from error
        self._hash.update(data)
        faultpoint("P3")

    def sync(self) -> None:
        """Return once everything would survive a loss of power."""
        self.flush()
        if not self._unsynced:
            return
        try:
            os.fsync(self._fd)
            if not self._in_folder:
                sync_folder(self.path.parent)
        except OSError as error:
            raise self._break("make durable", error) from error
        self._in_folder = True
        self._unsynced = False

    def sha256(self) -> str:
        """Return the checksum of all that was written, in hexadecimal."""
        self.flush()
        return self._hash.hexdigest()

    def handle(self) -> StagedHandle:
        """Return what it takes to commit the file as it is now."""
        return {
            "staged": str(self.path),
            "final": str(self.final),
            "length": self.length,
            "sha256": self.sha256(),
        }

    def copy_beginning(self, source: Path, length: int, sha256: str) -> bool:
        """Fill this empty file with the first `length` bytes of `source`, if they have that checksum.

        Raises:
            SinkError: there is no room for the copy, or `source` cannot be read.
        """
        try:
            with open(source, "rb", buffering=0) as file:
                found = hashlib.sha256()
                if not _read(file.fileno(), length, found.update) or found.hexdigest() != sha256:
                    return False
                self._require_room(source, length)
                file.seek(0)
                _read(file.fileno(), length, self.write)
        except OSError as error:
            raise file_error(SinkError, "read", source, error) from error
        if self.sha256() != sha256:
            raise SinkError(f"{source} changed while it was copied", hint="start the job again")
        return True

    def close(self) -> None:
        """Close the file and leave it where it is; what was not flushed is dropped."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def discard(self) -> None:
        """Close the file and remove it."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _take_beginning(self, length: int, sha256: str) -> bool:
        """Seek past the first `length` bytes of the open file, if they have that checksum."""
        found = hashlib.sha256()
        if not _read(self._fd, length, found.update) or found.hexdigest() != sha256:
            return False
        self._hash = found
        self.length = length
        return True

    def _require_room(self, source: Path, length: int) -> None:
        """Say what a copy needs before it fails half-way; beside the zombie's file there is no other way."""
        space = os.statvfs(self.path.parent)
        free = space.f_bavail * space.f_frsize
        if free < length:
            raise SinkError(
                f"cannot continue {self.final}: another process may still write to {source}, so its "
                f"{length:,} bytes have to be copied, and {free:,} bytes are free in {self.path.parent}",
                hint="end that process, after which no copy is needed, or free some space; "
                "then start the job again",
            )

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _break(self, action: str, error: OSError) -> SinkError:
        self._broken = file_error(SinkError, action, self.path, error)
        return self._broken


def _is_ours_alone(descriptor: int) -> bool:
    """Lock the file for as long as it is open; False if that tells nothing of other writers."""
    try:
        return try_flock(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_LOCK:
            raise
        return False


def _read(descriptor: int, length: int, consume: Callable[[bytes], object]) -> bool:
    """Read `length` bytes, block by block; False if there are not as many."""
    left = length
    while left and (data := os.read(descriptor, min(_BLOCK_BYTES, left))):
        consume(data)
        left -= len(data)
    return not left


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_staged(paths: Iterable[Path], keep: Collection[Path], *, recovering: bool) -> None:
    """Remove `paths` except `keep`; one that cannot be removed costs only space, so it is logged."""
    for path in paths:
        if path in keep:
            continue
        if recovering:
            faultpoint("P16c")
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("cannot remove %s, which nothing needs any more: %s", path, error.strerror)
