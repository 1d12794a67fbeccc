"""A part as a row of objects of bounded size: it may be larger than memory, and no upload is ever half done.

An object appears whole or not at all, so what a crash leaves are objects, which the next clean-up
lists. A multipart upload would be one more thing to look for, which stores bill for and list nowhere.
"""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Generator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Final, Protocol

from checkpoint.manifest import Part
from checkpoint.storage.objects.job import JobObjects
from pipeline.core.errors import CheckpointCorrupted, CheckpointError
from pipeline.core.faults import faultpoint

CHUNK_BYTES: Final = 8 << 20
"""Size of an object: large enough for a store's full speed, small enough to hold several."""

_AHEAD: Final = 2
"""Chunks of a part that may be on their way while the next one fills; then `write` waits."""

_MOST_REFUSED: Final = 4
"""Chunks that the store has refused and that wait for `seal`; with one more `write` raises."""


class Chunks:
    """The objects of one part that is being written; used by one thread at a time.

    Args:
        job: where they go.
        name: of the part.
    """

    def __init__(self, job: JobObjects, name: str) -> None:
        self.name = name
        self._job = job
        self._count = 0
        self._sent: deque[tuple[str, bytes, Future[None]]] = deque()
        self._refused: list[tuple[str, bytes]] = []
        self._abandoned = False

    @property
    def count(self) -> int:
        """How many there are so far."""
        return self._count

    def send(self, data: bytes) -> None:
        """Upload one more; waits while too many are on their way.

        Raises:
            CheckpointError: the store has refused too many.
        """
        while len(self._sent) >= _AHEAD:
            error = self._settle()
            if error is not None and len(self._refused) > _MOST_REFUSED:
                raise error
        self._start(self._job.keys.chunk(self.name, self._count), data)
        self._count += 1

    def finish(self) -> None:
        """Wait until all are stored; what was refused is tried once more.

        Raises:
            CheckpointError: one is not; `finish` may be called again if that is retryable.
        """
        self._settle_all()
        again, self._refused = self._refused, []
        for key, data in again:
            self._start(key, data)
        error = self._settle_all()
        if error is not None:
            raise error

    def abandon(self) -> None:
        """Delete what is stored, as far as the store answers: the next clean-up finds the rest."""
        self._abandoned = True
        for _, _, future in self._sent:
            future.cancel()
        keys = [self._job.keys.chunk(self.name, index) for index in range(self._count)]
        if keys:
            self._job.uploads.submit(lambda: self._delete(keys))

    def _start(self, key: str, data: bytes) -> None:
        self._sent.append((key, data, self._job.uploads.submit(lambda: self._upload(key, data))))

    def _upload(self, key: str, data: bytes) -> None:
        self._job.store.put(key, data)
        if self._abandoned:
            self._delete([key])

    def _delete(self, keys: list[str]) -> None:
        with suppress(CheckpointError):
            self._job.store.delete(keys)

    def _settle_all(self) -> CheckpointError | None:
        """Wait for all that are on their way; return what the last refusal said."""
        errors = [error for _ in range(len(self._sent)) if (error := self._settle()) is not None]
        return errors[-1] if errors else None

    def _settle(self) -> CheckpointError | None:
        """Wait for the oldest that is on its way; keep it if the store refused it."""
        key, data, future = self._sent.popleft()
        try:
            future.result()
        except CheckpointError as error:
            self._refused.append((key, data))
            return error
        except CancelledError:
            self._refused.append((key, data))
            return CheckpointError(f"{key} was not uploaded: the run is ending", retryable=False)
        return None


class Sealing(Protocol):
    """What a part asks of the attempt it belongs to."""

    def ensure_newest(self) -> None:
        """Raise `Fenced` if a newer attempt was claimed."""
        ...

    def sealed(self, name: str, checkpoint_id: int) -> None:
        """Keep the part for the checkpoint."""
        ...

    def discarded(self, name: str) -> None:
        """Forget the part."""
        ...


class ObjectPartWriter:
    """One growing part; see `checkpoint.storage.base.PartWriter`.

    Full chunks are uploaded while it grows. One that the store refuses is kept and tried again when
    the part is sealed.

    Args:
        chunks: its objects.
        uid, subtask: the operator it belongs to.
        attempt: is asked and told when it is sealed.
    """

    def __init__(self, chunks: Chunks, uid: str, subtask: int, attempt: Sealing) -> None:
        self._chunks = chunks
        self._uid = uid
        self._subtask = subtask
        self._attempt = attempt
        self._filling = bytearray()
        self._hash = hashlib.sha256()
        self._size = 0
        self._open = True

    @property
    def size_bytes(self) -> int:
        return self._size

    def write(self, data: bytes, /) -> None:
        self._filling += data
        self._hash.update(data)
        self._size += len(data)
        while len(self._filling) >= CHUNK_BYTES:
            chunk = bytes(self._filling[:CHUNK_BYTES])
            del self._filling[:CHUNK_BYTES]
            self._chunks.send(chunk)

    def seal(self, checkpoint_id: int) -> Part:
        self._attempt.ensure_newest()
        if self._filling or self._chunks.count == 0:
            chunk = bytes(self._filling)
            self._filling.clear()
            self._chunks.send(chunk)
        self._chunks.finish()
        self._open = False
        self._attempt.sealed(self._chunks.name, checkpoint_id)
        faultpoint("P5")
        return Part(self._chunks.name, self._uid, self._subtask, self._hash.hexdigest(), self._size)

    def discard(self) -> None:
        if not self._open:
            return
        self._open = False
        self._filling.clear()
        self._chunks.abandon()
        self._attempt.discarded(self._chunks.name)


class ObjectPartReader:
    """Reads a stored part, chunk by chunk, and verifies it; see `checkpoint.storage.base.PartReader`.

    Args:
        job: where it is.
        part: what the manifest says of it.
    """

    def __init__(self, job: JobObjects, part: Part) -> None:
        self.name = job.url(job.keys.chunk(part.name, 0))
        self._chunks = read_chunks(job, part)
        self._chunk = io.BytesIO()

    def read(self, size: int = -1, /) -> bytes:
        pieces = [self._chunk.read(size)]
        left = size - len(pieces[0])
        while left != 0 and (chunk := next(self._chunks, None)) is not None:
            self._chunk = io.BytesIO(chunk)
            pieces.append(self._chunk.read(left if size >= 0 else -1))
            left -= len(pieces[-1])
        return b"".join(pieces)

    def close(self) -> None:
        self._chunks.close()


def read_chunks(job: JobObjects, part: Part) -> Generator[bytes]:
    """Yield a part's chunks; the end comes only if all of it is what was written.

    Raises:
        CheckpointCorrupted: a chunk is missing, or the part is not what was written.
    """
    digest, size, index = hashlib.sha256(), 0, 0
    while True:
        key = job.keys.chunk(part.name, index)
        data = job.store.get(key)
        if data is None:
            raise CheckpointCorrupted(f"{job.url(key)} is missing: a part of operator {part.uid}")
        digest.update(data)
        size += len(data)
        if size >= part.size_bytes or not data:
            break
        yield data
        index += 1
    if digest.hexdigest() != part.sha256:
        raise CheckpointCorrupted(
            f"{job.url(job.keys.chunk(part.name, 0))} is corrupt: expected {part.size_bytes} bytes with "
            f"SHA-256 {part.sha256}, found {size} bytes with {digest.hexdigest()}"
        )
    yield data  # the last one is given out only now that the whole is known to be sound
