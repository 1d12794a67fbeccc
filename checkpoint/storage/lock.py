"""The lock on a job's folder: one living run at a time, unless somebody takes over on purpose."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from pathlib import Path

from checkpoint.storage.files import naming
from checkpoint.storage.holder import describe, read_holder, this_process
from pipeline.core.clock import Clock
from pipeline.core.errors import JobAlreadyRunning


class FolderLock:
    """An flock on a file that says who holds it; it is free as soon as its holder is dead.

    Args:
        path: the lock file; its folder exists.
        job: the job's name, for messages.
        clock: tells since when.
    """

    def __init__(self, path: Path, job: str, clock: Clock) -> None:
        self._path = path
        self._job = job
        self._clock = clock
        self._descriptor: int | None = None

    def acquire(self, *, take_over: bool) -> None:
        """Take the lock.

        Args:
            take_over: if somebody holds it, put a new lock file in the place of theirs, so that
                the next run finds ours.

        Raises:
            JobAlreadyRunning: somebody holds it.
        """
        with naming("lock", self._path):
            descriptor = _try_lock(self._path)
            if descriptor is None and not take_over:
                raise self._refusal()
            self._descriptor = self._replace() if descriptor is None else descriptor
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, self._holder(), 0)

    def release(self) -> None:
        """Free the lock; without effect if it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _replace(self) -> int:
        staged = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with suppress(FileNotFoundError):
            staged.unlink()  # of a dead process that had this id
        descriptor = os.open(staged, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            staged.replace(self._path)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _holder(self) -> bytes:
        return json.dumps(this_process(self._clock)).encode() + b"\n"

    def _refusal(self) -> JobAlreadyRunning:
        return JobAlreadyRunning(
            f"job {self._job} is running already: {_describe_holder(self._path)} holds {self._path}",
            hint="stop that run first; if it hangs, --take-over starts anyway and keeps it from committing",
        )


def _try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock, None if somebody else does."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # somebody has taken over and replaced the file: try theirs


def _describe_holder(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError:
        data = b""
    return describe(read_holder(data))
