"""The lock on a job's objects: a lease that its holder renews and that lapses when it no longer does.

It keeps a second run from starting by mistake. What keeps two runs from deciding both is the claim
(see `log`), so nothing is lost where a lease lapses too early: a machine that was suspended, a clock
that jumped, a store that did not answer.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

from checkpoint.storage.holder import describe, read_holder, this_process
from checkpoint.storage.objects.store import ObjectStore, Stored
from pipeline.core.clock import Clock
from pipeline.core.errors import CheckpointError, JobAlreadyRunning
from pipeline.core.waits import Waits

RENEWAL: Final = timedelta(seconds=5)
LAPSES_MS: Final = 20_000
"""Longer than three renewals, and so than one that is lost and one that is retried."""


class LeaseLock:
    """One object that says who runs the job.

    Args:
        store, key: the object.
        job: the job's name, for messages and for the thread that renews.
        clock: tells since when, and waits between renewals.
    """

    def __init__(self, store: ObjectStore, key: str, job: str, clock: Clock) -> None:
        self._store = store
        self._key = key
        self._job = job
        self._clock = clock
        self._lease = b""
        self._waits = Waits(clock)
        self._thread: threading.Thread | None = None

    def acquire(self, *, take_over: bool) -> None:
        """Take the lease and renew it until `release`.

        Args:
            take_over: although somebody else renews it.

        Raises:
            JobAlreadyRunning: somebody else renews it.
        """
        lease = self._new_lease()
        if not self._store.create(self._key, lease):
            if not take_over:
                self._refuse_if_held()
            self._store.put(self._key, lease)
        self._lease = lease
        self._waits = Waits(self._clock)
        self._thread = threading.Thread(target=self._renew, name=f"{self._job}/lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Give the lease back, unless somebody has taken it over; without effect if it is not held."""
        if self._thread is None:
            return
        self._waits.cancel()
        self._thread.join()
        self._thread = None
        with suppress(CheckpointError):  # then it lapses
            if self._is_ours():
                self._store.delete([self._key])

    def _renew(self) -> None:
        while self._waits.wait(RENEWAL):
            with suppress(CheckpointError):  # the next renewal may do
                if not self._is_ours():
                    return
                self._store.put(self._key, self._lease)

    def _is_ours(self) -> bool:
        return self._store.get(self._key) == self._lease

    def _refuse_if_held(self) -> None:
        found, stored = self._store.get(self._key), self._store.stat(self._key)
        if found is None or stored is None:
            return  # released this moment
        holder = read_holder(found)
        if stored.age_ms < LAPSES_MS and not _has_died(holder):
            raise self._refusal(holder, stored)

    def _refusal(self, holder: Mapping[str, Any], stored: Stored) -> JobAlreadyRunning:
        lapses = (LAPSES_MS - stored.age_ms) / 1000
        return JobAlreadyRunning(
            f"job {self._job} is running already: {describe(holder)} holds "
            f"{self._store.location}/{self._key} and renewed it {stored.age_ms / 1000:.0f} s ago",
            hint=f"stop that run first; if it has died, this ends by itself within {lapses:.0f} s, and "
            "--take-over starts at once and keeps it from committing",
        )

    def _new_lease(self) -> bytes:
        return json.dumps({**this_process(self._clock), "id": uuid.uuid4().hex}).encode() + b"\n"


def _has_died(holder: Mapping[str, Any]) -> bool:
    """Whether the holder was a process of this machine that is no more: then nobody needs to wait."""
    pid = holder.get("pid")
    if holder.get("host") != socket.gethostname() or not isinstance(pid, int) or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
