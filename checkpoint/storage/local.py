"""Checkpoints in a folder of a local or mounted file system."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from checkpoint.storage.attempt import LocalAttempt
from checkpoint.storage.base import History
from checkpoint.storage.files import naming, sync_folder
from checkpoint.storage.layout import JobFolder
from checkpoint.storage.lock import FolderLock
from pipeline.core.clock import Clock, SystemClock


class LocalCheckpointStorage:
    """The folder of one job below `checkpoint_dir`; it is created when first locked.

    Args:
        checkpoint_dir: the folder that holds one for each job; its file system must have hard links.
        job: the job's name.
        clock: for the times that people read.

    Example:
        storage = LocalCheckpointStorage(Path(".pipeline/checkpoints"), "carrier-report")
        storage.lock()
        try:
            attempt = storage.claim()
            manifest = attempt.latest()
            ...
        finally:
            storage.close()
    """

    def __init__(self, checkpoint_dir: Path, job: str, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._folder = JobFolder(checkpoint_dir, job)
        self._lock = FolderLock(self._folder.lock, job, self._clock)

    @property
    def path(self) -> Path:
        """The job's folder."""
        return self._folder.root

    @property
    def location(self) -> str:
        return str(self.path)

    def lock(self, *, take_over: bool = False) -> None:
        """Create the folder if need be and lock it; see `CheckpointStorage.lock`."""
        self._folder.create()
        self._lock.acquire(take_over=take_over)

    def claim(self) -> LocalAttempt:
        """Claim the next attempt; see `CheckpointStorage.claim`."""
        number = self._claim_number()
        for earlier in self._folder.attempts():
            if earlier < number:
                self._fence(earlier)
        # A manifest whose creator died before its sync must not vanish after we have acted on it.
        sync_folder(self._folder.manifests)
        return LocalAttempt(self._folder, number, self._read_history(number), self._clock)

    def close(self) -> None:
        """Release the lock."""
        self._lock.release()

    def _claim_number(self) -> int:
        """Create the next attempt's folder, with the staging folder that is its right to decide.

        Who fences looks for staging folders after creating its own number; who claims looks for
        higher numbers after creating its staging folder. So of two at once at least one sees the
        other, and a claim that was overtaken is given up and begun again.
        """
        while True:
            number = 1 + max(self._folder.attempts(), default=0)
            with naming("create", self._folder.attempt(number)), suppress(FileExistsError):
                self._folder.attempt(number).mkdir()
                self._folder.staging(number).mkdir()
                if max(self._folder.attempts()) == number:
                    sync_folder(self._folder.all_attempts)
                    return number
                self._fence(number)

    def _fence(self, number: int) -> None:
        staging = self._folder.staging(number)
        with naming("rename", staging), suppress(FileNotFoundError):  # fenced before, or never got so far
            staging.rename(self._folder.fenced(number))

    def _read_history(self, number: int) -> History:
        earlier = [one for one in reversed(self._folder.attempts()) if one < number]
        past = (self._folder.past_attempt(one) for one in earlier)
        last = next((one for one in past if one is not None), None)
        noted = max(self._folder.notes(), default=0)
        return History(tuple(self._folder.checkpoints()), noted, last)
