"""Checkpoints in an object store."""

from __future__ import annotations

import uuid
from dataclasses import replace

from checkpoint.storage.base import History
from checkpoint.storage.objects.attempt import ObjectAttempt
from checkpoint.storage.objects.history import LogSum
from checkpoint.storage.objects.job import JobObjects
from checkpoint.storage.objects.keys import JobKeys
from checkpoint.storage.objects.lease import LeaseLock
from checkpoint.storage.objects.ledger import Ledger
from checkpoint.storage.objects.log import claim
from checkpoint.storage.objects.store import ObjectStore
from checkpoint.storage.objects.uploads import Uploads
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import CheckpointError


class ObjectCheckpointStorage:
    """The objects of one job below a prefix.

    Args:
        store: holds them; closed with this.
        prefix: of the jobs of all users of the store, without a slash at the end; may be empty.
        job: the job's name.
        clock: for the times that people read, and for renewing the lease.
    """

    def __init__(self, store: ObjectStore, prefix: str, job: str, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._job = JobObjects(store, JobKeys(prefix, job), Uploads(f"{job}/upload"))
        self._lease = LeaseLock(store, self._job.keys.lock, job, self._clock)

    @property
    def location(self) -> str:
        return self._job.url(self._job.keys.root)

    def lock(self, *, take_over: bool = False) -> None:
        """Prove that the store keeps its promise and take the lease; see `CheckpointStorage.lock`."""
        self._prove_exclusive()
        self._lease.acquire(take_over=take_over)

    def claim(self) -> ObjectAttempt:
        """Claim the next attempt; see `CheckpointStorage.claim`."""
        log, before = claim(self._job.store, self._job.keys)
        there = replace(before, decided=self._not_deleted(before))
        history = History(tuple(sorted(there.decided)), there.noted, there.past[-1] if there.past else None)
        return ObjectAttempt(self._job, Ledger(log, there), history, self._clock)

    def close(self) -> None:
        """Give the lease back and end the uploads."""
        self._job.uploads.close()
        self._lease.release()
        self._job.store.close()

    def _not_deleted(self, before: LogSum) -> dict[int, int]:
        """Leave out the checkpoints that were deleted: their manifests are gone, and nobody needs them.

        One that was the newest, or is not noted, stays in the list even if it is gone: loading it then
        fails, where skipping it silently would lose or repeat epochs.
        """
        stored = set(self._job.store.list(self._job.keys.manifests))
        newest = max(before.decided, default=0)
        return {
            one: attempt
            for one, attempt in before.decided.items()
            if one > before.noted or one == newest or self._job.keys.manifest(one, attempt) in stored
        }

    def _prove_exclusive(self) -> None:
        """Create an object twice: a store that ignores the condition would let two runs decide."""
        key = f"{self._job.keys.root}/proof-{uuid.uuid4().hex}"
        store = self._job.store
        first, second = store.create(key, b"first"), store.create(key, b"second")
        store.delete([key])
        if not first or second:
            raise CheckpointError(
                f"{store.location} cannot hold checkpoints: it let an object be created twice",
                retryable=False,
                hint="use a store that honours If-None-Match on a put, as AWS S3 and MinIO do, or a folder",
            )
