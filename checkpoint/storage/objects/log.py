"""The log that orders all attempts of a job, and so fences: a claim takes the slot its victim writes next.

An object store can neither lock nor rename. It can create an object unless the key is taken, so the
objects `log/000000000001.json`, `…2.json` and so on form a log to which every attempt appends and
which none overwrites. What an attempt writes has an effect only if it gets the very next slot. A claim
is such an entry, too: an attempt that was stopped, taken over and resumed finds its slot taken and is
fenced, and so is a request of that attempt that arrives an hour late.

A claim contains the sum of all entries before it, so a start reads back only to the newest claim.
Claims are never deleted: one of them occupies the slot that some older attempt would write next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from checkpoint.sealed import seal, unseal
from checkpoint.storage.objects.history import Kind, LogSum
from checkpoint.storage.objects.keys import JobKeys
from checkpoint.storage.objects.store import ObjectStore
from pipeline.core.errors import CheckpointCorrupted, Fenced


class JobLog:
    """A job's log as one attempt sees it.

    Args:
        store: holds it.
        keys: of the job.
        attempt: whose entries these are.
        slot: of its claim.
    """

    def __init__(self, store: ObjectStore, keys: JobKeys, attempt: int, slot: int) -> None:
        self.attempt = attempt
        self._store = store
        self._keys = keys
        self._next = slot + 1

    def append(self, kind: Kind, **fields: Any) -> int:
        """Add an entry and return its slot.

        Raises:
            Fenced: a newer attempt has claimed that slot; the entry has no effect.
            CheckpointError: the store did not answer. The entry may be there or come still; the next
                `append` of this attempt, or the next claim, settles it.
        """
        data = seal({"kind": kind.value, "attempt": self.attempt, **fields})
        while True:
            slot = self._next
            if self._store.create(self._keys.slot(slot), data):
                self._next += 1
                return slot
            found = self._expect_ours(slot)
            self._next += 1
            if found == data:  # the answer to an earlier try was lost
                return slot

    def ensure_newest(self) -> None:
        """Raise `Fenced` if a newer attempt has claimed; any thread."""
        slot = self._next
        if self._store.get(self._keys.slot(slot)) is not None:
            self._expect_ours(slot)  # of another thread that is about to count it

    def _expect_ours(self, slot: int) -> bytes | None:
        key = self._keys.slot(slot)
        data = self._store.get(key)
        entry = {} if data is None else _entry(data, self._store, key)
        if entry.get("attempt") == self.attempt:
            return data
        newer = entry.get("attempt")
        raise Fenced(
            f"attempt {self.attempt} may write no more: attempt {newer} has taken the job over",
            hint="nothing is lost: the newer attempt continues from the last complete checkpoint",
        )


def claim(store: ObjectStore, keys: JobKeys) -> tuple[JobLog, LogSum]:
    """Claim the next attempt and return its log and the sum of all entries before its claim."""
    while True:
        slot, before = read(store, keys)
        number = before.attempt + 1
        entry = {"kind": Kind.CLAIM.value, "attempt": number, "sum": before.to_json()}
        if store.create(keys.slot(slot), seal(entry)):
            return JobLog(store, keys, number, slot), before


def read(store: ObjectStore, keys: JobKeys) -> tuple[int, LogSum]:
    """Return the first free slot, and the sum of the log up to it.

    Raises:
        CheckpointCorrupted: an entry that counts is not as it was written.
    """
    slots = sorted(slot for key in store.list(keys.log) if (slot := keys.slot_number(key)) is not None)
    entries: list[tuple[int, Mapping[str, Any]]] = []
    for slot in reversed(slots):
        key = keys.slot(slot)
        data = store.get(key)
        if data is None:
            continue  # superseded, and deleted since it was listed
        entry = _entry(data, store, key)
        entries.append((slot, entry))
        if entry["kind"] == Kind.CLAIM:
            break
    found = LogSum()
    for slot, entry in reversed(entries):
        found = found.then(slot, entry)
    left = set(slots)
    superseded = tuple(slot for slot in found.superseded if slot in left)
    return (slots[-1] if slots else 0) + 1, replace(found, superseded=superseded)


def _entry(data: bytes, store: ObjectStore, key: str) -> dict[str, Any]:
    url = f"{store.location}/{key}"
    try:
        entry = unseal(data, url)
        Kind(entry["kind"])
    except (KeyError, ValueError) as error:
        raise CheckpointCorrupted(f"{url} is not an entry of a job's log: {error}") from error
    except CheckpointCorrupted as error:
        error.hint = "move it away and choose where to continue: --restore ID or --fresh"
        raise
    return entry
