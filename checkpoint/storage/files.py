"""Durable files: written, synced and published so that a crash leaves the old or the new, never a half."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pipeline.core.errors import CheckpointError

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_FINAL: Final = _REFUSED | {errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ENOTSUP}
"""Errors that the same attempt would meet again; after any other, such as a full disk, a retry may help."""


@contextmanager
def naming(action: str, path: Path) -> Generator[None]:
    """Turn an OSError into a CheckpointError that names the file and what was wanted of it."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"cannot {action} {path}: {error.strerror or error}",
            retryable=error.errno not in _FINAL,
            hint=_hint(error.errno),
        ) from error


def _hint(number: int | None) -> str | None:
    if number in _NO_ROOM:
        return "free space or raise the limit, or choose another folder with checkpoint_dir"
    if number in _REFUSED:
        return "let this user write there, or choose another folder with checkpoint_dir"
    if number == errno.ENOTSUP:
        return "choose a folder on a file system that has hard links with checkpoint_dir"
    return None


def write_new(path: Path, data: bytes) -> None:
    """Write and sync a file that must not exist yet; what was written is removed if that fails."""
    try:
        with naming("write", path), path.open("xb", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            sync(file.fileno(), path)
    except CheckpointError:
        with suppress(OSError):
            path.unlink()
        raise


def sync(descriptor: int, path: Path) -> None:
    """Force what was written to the disk.

    Raises:
        CheckpointError: never retryable. After a failed fsync the kernel may have dropped the data
            and reports success the next time, so this attempt must not continue.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise CheckpointError(
            f"cannot sync {path}: {error.strerror or error}",
            retryable=False,
            hint="the disk may have lost data: check it before starting the job again",
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; raises as `sync` does."""
    with naming("open", folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor, folder)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, durably; one that exists is left alone."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with naming("create", folder):
        folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def publish(staged: Path, target: Path) -> bool:
    """Give a synced file its final name, durably, never over another.

    Returns:
        False if `target` exists already; it is left as it is.
    """
    created = True
    with naming("link", target):
        try:
            os.link(staged, target)
        except FileExistsError:
            created = False
    sync_folder(target.parent)
    return created
