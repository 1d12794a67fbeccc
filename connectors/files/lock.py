"""The locks under which a sink stages its files, and keeps other runs and other jobs from its output."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from connectors.files.errors import file_error, lasting_error
from connectors.files.flock import CANNOT_LOCK, try_flock
from connectors.files.owner import Owner
from pipeline.core.errors import Fault, JobAlreadyRunning, SinkError
from pipeline.spi.sink import SinkContext

_log = logging.getLogger(__name__)


class OutputLock:
    """Two flocks on hidden files beside the output: one names whose staged files are safe, one the output.

    They are free as soon as their holder is dead. A later run of the same job gets them from a living
    holder only if that one can decide nothing any more: a later attempt of the same execution has
    claimed its checkpoints, or the user has said so. Another job does not get them at all.

    Args:
        final: what is written.
        owner: whose staged files are to be safe.
        ctx: which run this is.
    """

    def __init__(self, final: Path, owner: Owner, ctx: SinkContext) -> None:
        self._of_owner = _LockFile(final.with_name(f".{owner.name}.lock"), final, ctx)
        self._of_output = _LockFile(_output_lock(final, ctx.subtask), final, ctx)

    def acquire(self) -> None:
        """Take the locks; where the file system has none, log that and continue.

        Raises:
            JobAlreadyRunning: another run of the job holds one.
            SinkError: another job writes there, or a lock file cannot be made.
        """
        self._of_owner.acquire()
        try:
            self._of_output.acquire()
        except BaseException:
            self._of_owner.release()
            raise

    @property
    def taken_over(self) -> bool:
        """Whether another run has taken the locks from this one."""
        return self._of_owner.taken_over

    def release(self) -> None:
        """Free the locks and remove their files; without effect if they are not held."""
        self._of_output.release()
        self._of_owner.release()


def _output_lock(final: Path, subtask: int) -> Path:
    """Name the lock of one subtask's output; a folder can have the outputs of many jobs."""
    identity = hashlib.sha256(f"{subtask}\0{final.name}".encode()).hexdigest()[:12]
    return final.with_name(f".{final.name[:40]}.{identity}.lock")


class _LockFile:
    """One of them.

    Args:
        path: the hidden file.
        final: what is written, for messages.
        ctx: which run this is.
    """

    def __init__(self, path: Path, final: Path, ctx: SinkContext) -> None:
        self._path = path
        self._final = final
        self._ctx = ctx
        self._descriptor: int | None = None

    def acquire(self) -> None:
        try:
            descriptor = _try_lock(self._path)
            if descriptor is None:
                self._check_take_over()
                descriptor = self._replace()
            self._descriptor = descriptor
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, self._holder(), 0)
        except OSError as error:
            if error.errno not in CANNOT_LOCK:
                raise file_error(SinkError, "lock", self._path, error) from error
            self._path.unlink(missing_ok=True)
            _log.warning("nothing keeps two runs from %s: files cannot be locked there", self._final)

    @property
    def taken_over(self) -> bool:
        return self._descriptor is not None and not _is_at(self._path, self._descriptor)

    def release(self) -> None:
        if self._descriptor is None:
            return
        with suppress(OSError):  # without its removal the next run takes the file as it lies there
            if not self.taken_over:
                self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = None

    def _check_take_over(self) -> None:
        holder = _read_holder(self._path)
        who = f"process {holder['pid']} on {holder['host']}" if holder else "a process"
        other = holder.get("job", self._ctx.job_name)
        if other != self._ctx.job_name:
            raise lasting_error(
                SinkError,
                Fault.CONFIG,
                f"job {other} writes {self._final} too: {who} holds {self._path}",
                "give each job an output of its own: one would overwrite what the other has written",
            )
        later = holder.get("lineage") == self._ctx.lineage and holder["attempt"] < self._ctx.attempt
        if later or self._ctx.choices.take_over:
            return
        raise JobAlreadyRunning(
            f"another run of job {self._ctx.job_name} writes {self._final}: {who} holds {self._path}",
            hint="stop that run first; if it hangs, --take-over starts anyway and keeps it from committing",
        )

    def _replace(self) -> int:
        """Replace the lock file that is held, so that the next run finds the new one."""
        staged = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(staged, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            try_flock(descriptor)
            staged.replace(self._path)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _holder(self) -> bytes:
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "job": self._ctx.job_name,
            "lineage": self._ctx.lineage,
            "attempt": self._ctx.attempt,
        }
        return json.dumps(holder).encode()


def _try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock, None if somebody else does."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            locked = try_flock(descriptor)
        except OSError:
            os.close(descriptor)
            raise
        if locked and _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)
        if not locked:
            return None
        # It was released and removed, or taken over, after it was opened: try again.


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _read_holder(path: Path) -> dict[str, Any]:
    """Return what the holder wrote about itself; nothing if it has not come to that yet."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
