"""The contract of a checkpoint storage: one suite of tests runs on every implementation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from checkpoint.manifest import Json, Manifest, Part
from checkpoint.retention import Deletions

DISCARDED: Final = "DISCARDED"
"""The outcome of an attempt that was cancelled and whose checkpoints were not to be kept."""


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """What an earlier attempt recorded.

    Args:
        number: which start it was.
        execution_id, lineage: what it worked on.
        restored: the checkpoint it began from, None for the beginning of the input.
        first_checkpoint_id: no checkpoint of its own has a lower number.
        host, pid, started_ms: where it ran and since when (milliseconds UTC).
        status: how it ended; None if it never said: it was killed, or runs still.
    """

    number: int
    execution_id: str
    lineage: str
    restored: int | None
    first_checkpoint_id: int
    host: str
    pid: int
    started_ms: int
    status: str | None


@dataclass(frozen=True, slots=True)
class History:
    """What had happened before this attempt, read after all earlier ones were fenced.

    Args:
        checkpoints: numbers of the manifests there are, ascending.
        noted: the highest checkpoint whose commit is noted, 0 for none. Its commit covers all below.
        last: the newest earlier attempt that had begun, None for none.
    """

    checkpoints: tuple[int, ...]
    noted: int
    last: PastAttempt | None

    @property
    def next_checkpoint_id(self) -> int:
        """The first number this attempt may use: numbers never restart."""
        return 1 + max((self.noted, *self.checkpoints))

    @property
    def resume_from(self) -> int | None:
        """The checkpoint from which the last execution continues; None for the beginning.

        That is the newest one of the last attempt, or where it began itself: an attempt that
        started fresh, or went back, and died before its first checkpoint is not overruled by what
        lies there from before it. A checkpoint that is noted but gone is named as well, so that
        loading it tells.
        """
        newest = max((self.noted, *self.checkpoints))
        if self.last is None:
            return newest or None
        if self.last.status == DISCARDED:
            return None
        return newest if newest >= self.last.first_checkpoint_id else self.last.restored

    def is_noted(self, checkpoint_id: int) -> bool:
        """Whether everything that checkpoint has decided is known to be committed."""
        return checkpoint_id <= self.noted


class PartWriter(Protocol):
    """A growing part of a coming checkpoint, used by one thread at a time."""

    @property
    def size_bytes(self) -> int:
        """What has been written to it."""
        ...

    def write(self, data: bytes, /) -> None:
        """Add bytes. They are stored as they come; a passing fault is kept for `seal` to meet."""
        ...

    def seal(self, checkpoint_id: int) -> Part:
        """Make it a part of the coming checkpoint; nothing can be added after.

        Its bytes are durable when this returns, its name is once the manifest that lists it exists.

        Raises:
            CheckpointError: retryable if the same part may still be sealed, for a later checkpoint.
            Fenced: a newer attempt was claimed.
        """
        ...

    def discard(self) -> None:
        """Drop the part; without effect once it is sealed."""
        ...


class PartReader(Protocol):
    """A stored part that is being read, from its beginning; used by one thread at a time."""

    name: str
    """Where it is stored, for messages."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next `size` bytes, fewer at the end; all that are left without a size.

        Raises:
            CheckpointCorrupted: the end is reached, and it is not what was written.
        """
        ...

    def close(self) -> None: ...


class StorageAttempt(Protocol):
    """One start of the job, and all it may do to the job's checkpoints; calls come one at a time.

    Parts are the exception: they are opened, written, sealed and read on any thread.

    Whatever it writes after a newer attempt was claimed raises `Fenced` and has no effect. Where
    space or a server is missing, methods raise a `CheckpointError` that states whether a retry helps.
    """

    @property
    def number(self) -> int:
        """Larger than that of every earlier attempt."""
        ...

    @property
    def history(self) -> History: ...

    def begin(self, *, execution_id: str, lineage: str, restored: int | None) -> None:
        """Leave word of what this attempt works on and where it starts from; once, before any part."""
        ...

    def open_part(self, uid: str, subtask: int) -> PartWriter:
        """Begin a part of an operator: its keyed state, or the epoch log of a sink.

        Raises:
            Fenced: a newer attempt was claimed.
        """
        ...

    def read_part(self, part: Part) -> PartReader:
        """Open a part that a loaded manifest lists, or that this attempt has sealed.

        Raises:
            CheckpointCorrupted: it is gone.
        """
        ...

    def write_manifest(self, manifest: Manifest) -> None:
        """Create the manifest durably, never over another: this decides that the epoch is committed.

        Writing the same manifest again is not an error.

        Raises:
            Fenced: a newer attempt was claimed, or another attempt's manifest has this number.
        """
        ...

    def note(self, checkpoint_id: int) -> None:
        """Note durably that all which the checkpoint has decided is committed."""
        ...

    def clean(self, retention: int) -> Deletions:
        """Delete what `plan_deletions` allows, and what crashed attempts left half written."""
        ...

    def finish(self, status: str, details: Mapping[str, Json] | None = None) -> None:
        """Record how this attempt ended; `details` are for people to read."""
        ...

    def discard(self) -> None:
        """Record that nothing continues from here, then delete all checkpoints but savepoints."""
        ...

    def ensure_newest(self) -> None:
        """Raise `Fenced` if a newer attempt was claimed; asked before acting outside of the storage."""
        ...

    def latest(self) -> Manifest | None:
        """Return the checkpoint to continue from (`History.resume_from`), verified with all its parts.

        Its logs are verified too, unless its commit is noted: then nothing needs them any more.

        Raises:
            CheckpointCorrupted: it is not as it was written; the hint names the older ones that are.
        """
        ...

    def load(self, checkpoint_id: int) -> Manifest:
        """Return one checkpoint, verified with all its parts; raises as `latest` does."""
        ...


class CheckpointStorage(Protocol):
    """Where the checkpoints of one job are kept."""

    @property
    def location(self) -> str:
        """A path or URL that people find them by."""
        ...

    def lock(self, *, take_over: bool = False) -> None:
        """Keep other runs of the job out until `close`.

        Args:
            take_over: start although another run holds the lock; claiming then fences that one.

        Raises:
            JobAlreadyRunning: another run lives; the message says which.
        """
        ...

    def claim(self) -> StorageAttempt:
        """Claim the next attempt and fence all earlier ones; only then is the history read."""
        ...

    def close(self) -> None:
        """Let other runs in."""
        ...
