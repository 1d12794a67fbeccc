"""The epoch logs of one sink: which are sealed, which checkpoint needs them, and how to read them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from checkpoint.epoch_log import HEADER, frame, read_frames
from checkpoint.manifest import Part
from checkpoint.storage.base import PartWriter, StorageAttempt
from pipeline.core.errors import InternalError


class SinkLogs:
    """Keeps the logs of one subtask of a sink from their first record until their commit is done.

    The thread that drives the sink opens and seals; the job's thread forgets.

    Args:
        storage: where they go; None for a job that stores nothing, whose logs only count bytes.
        uid, subtask: the sink's.
    """

    def __init__(self, storage: StorageAttempt | None, uid: str, subtask: int) -> None:
        self._storage = storage
        self._uid = uid
        self._subtask = subtask
        self._sealed: dict[str, tuple[int, Part]] = {}
        self._coming = 0

    def open(self) -> SinkLog:
        """Begin the log of an epoch."""
        if self._storage is None:
            return SinkLog(self, None)
        part = self._storage.open_part(self._uid, self._subtask)
        part.write(HEADER)
        return SinkLog(self, part)

    def read(self, name: str) -> Iterator[bytes]:
        """Yield what was appended to a sealed log, of this attempt or of the restored checkpoint."""
        if self._storage is None or name not in self._sealed:
            raise InternalError(f"sink {self._uid} requests the log {name!r}, which no checkpoint lists")
        with closing(self._storage.read_part(self._sealed[name][1])) as log:
            yield from read_frames(log)

    def recover(self, checkpoint_id: int, logs: Sequence[Part]) -> None:
        """Take over what a manifest lists."""
        self._sealed = {part.name: (checkpoint_id, part) for part in logs}

    def at_barrier(self, checkpoint_id: int) -> None:
        """Set the checkpoint for which the next log is sealed."""
        self._coming = checkpoint_id

    def needed(self) -> list[Part]:
        """List the logs whose epochs are not committed yet: the next manifest must name them."""
        return [part for _, part in self._sealed.copy().values()]

    def forget(self, checkpoint_id: int) -> None:
        """Everything up to this checkpoint is committed."""
        self._sealed = {
            name: (sealed_for, part)
            for name, (sealed_for, part) in self._sealed.items()
            if sealed_for > checkpoint_id
        }

    def seal(self, log: PartWriter) -> str:
        """Make a log part of the coming checkpoint and return its name."""
        part = log.seal(self._coming)
        self._sealed = {**self._sealed, part.name: (self._coming, part)}
        return part.name


class SinkLog:
    """`EpochLog` of one epoch.

    Args:
        logs: those of the sink.
        writer: stores it; None where nothing is stored.
    """

    def __init__(self, logs: SinkLogs, writer: PartWriter | None) -> None:
        self._logs = logs
        self._writer = writer
        self._unstored = 0

    @property
    def size_bytes(self) -> int:
        return self._unstored if self._writer is None else self._writer.size_bytes

    def append(self, payload: bytes) -> None:
        if self._writer is None:
            self._unstored += len(payload)
        else:
            self._writer.write(frame(payload))

    def seal(self) -> str:
        return "" if self._writer is None else self._logs.seal(self._writer)

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.discard()
