"""A file that grows beside its final name, unseen, until a commit renames it."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

from connectors.files.errors import file_error
from pipeline.core.errors import SinkError
from pipeline.core.faults import faultpoint
from pipeline.spi.sink import SinkContext

_log = logging.getLogger(__name__)

SPILL_BYTES: Final = 256 * 1024
"""Bytes held back before they go to the operating system."""

_COPY_BYTES: Final = 1024 * 1024
_STAGED: Final = re.compile(r"\..*\.(?P<owner>[\w-]+)\.(?P<attempt>\d+)-[0-9a-f]+\.staged", re.DOTALL)


class StagedHandle(TypedDict):
    """What a manifest must know to commit a file: paths, bytes, SHA-256 in hexadecimal."""

    staged: str
    final: str
    length: int
    sha256: str


class Owner(NamedTuple):
    """Whose staged files these are.

    Args:
        name: of job, sink and subtask; the same in every attempt.
        attempt: which attempt of the job.
    """

    name: str
    attempt: int

    @classmethod
    def of(cls, ctx: SinkContext) -> Owner:
        """Build a name that can stand in a file name and that no other sink of any job has."""
        identity = "\0".join((ctx.job_name, ctx.uid, str(ctx.subtask)))
        readable = re.sub(r"[^A-Za-z0-9_-]+", "_", ctx.job_name)[:40]
        return cls(f"{readable}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}", ctx.attempt)

    @classmethod
    def of_file(cls, path: Path) -> Owner | None:
        """Read the owner from the name of a staged file; None if it is none."""
        match = _STAGED.fullmatch(path.name)
        return None if match is None else cls(match["owner"], int(match["attempt"]))

    def new_path(self, final: Path) -> Path:
        """Return a name beside `final` that no other attempt, and no other run, uses."""
        return final.with_name(f".{final.name[:40]}.{self.name}.{self.attempt}-{secrets.token_hex(4)}.staged")

    def staged_files(self, folder: Path) -> Iterator[Path]:
        """Yield the staged files of this attempt and the earlier ones, the newest attempt first."""
        found = [
            (owner.attempt, path)
            for path in folder.iterdir()
            if (owner := Owner.of_file(path)) and owner.name == self.name and owner.attempt <= self.attempt
        ]
        return (path for _, path in sorted(found, reverse=True))


class StagedFile:
    """One growing file. Its bytes and their SHA-256 are known at every moment.

    A write or an fsync that failed is not tried again: what reached the disk is unknown then (the
    kernel drops the pages and reports success the next time), so every later call fails as well.

    Args:
        owner: whose it is.
        final: the name it is meant for.

    Raises:
        SinkError: the file cannot be created, written or made durable.
    """

    def __init__(self, owner: Owner, final: Path) -> None:
        self.final = final
        self.path = owner.new_path(final)
        self.length = 0
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._hash = hashlib.sha256()
        self._unsynced = True  # the folder does not durably know it yet
        self._in_folder = False
        self._broken: SinkError | None = None
        try:
            self._fd = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise file_error(SinkError, "create a file in", final.parent, error) from error

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

        A copy, not a rename: a process that was stopped and goes on writes to the old inode.
        """
        try:
            with open(source, "rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_size < length:
                    return False
                while self.length < length and (data := file.read(min(_COPY_BYTES, length - self.length))):
                    self.write(data)
        except OSError as error:
            raise file_error(SinkError, "read", source, error) from error
        if self.length == length and self.sha256() == sha256:
            return True
        self._empty()
        return False

    def close(self) -> None:
        """Close the file and leave it where it is; what was not flushed is dropped."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def discard(self) -> None:
        """Close the file and remove it."""
        self.close()
        self.path.unlink(missing_ok=True)

    def _empty(self) -> None:
        try:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        except OSError as error:
            raise self._break("empty", error) from error
        self._hash = hashlib.sha256()
        self._pending.clear()
        self._pending_bytes = 0
        self.length = 0

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _break(self, action: str, error: OSError) -> SinkError:
        self._broken = file_error(SinkError, action, self.path, error)
        return self._broken


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
