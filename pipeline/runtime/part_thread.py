"""The thread that stores what subtasks took at a barrier while their records flow on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta

from checkpoint.manifest import Part
from checkpoint.storage.base import PartWriter, StorageAttempt
from pipeline.core.errors import CheckpointError, InternalError
from pipeline.core.raised import as_exception
from pipeline.reactive.producer import Interrupted
from pipeline.runtime.events import Acknowledged, Declined, SubtaskFailed, TaskEvent
from pipeline.runtime.snapshot import OperatorSnapshot, SubtaskSnapshot


class PartThread:
    """Writes the state in the snapshots of all subtasks of a job to parts, in their order.

    A subtask puts what it took at a barrier here and processes the next record; the checkpoint is
    acknowledged once its parts are stored. So a slow store delays a checkpoint, up to its timeout,
    and never the stream. Whatever belongs to a checkpoint that has been given up is released, so
    that the snapshots of two checkpoints at most are held: the current one's, and the one that is
    being written.

    Args:
        storage: this attempt's; None for a job that stores nothing.
        post: sends an event to the job's thread.
        name: of the thread, which starts with the first part.
    """

    def __init__(self, storage: StorageAttempt | None, post: Callable[[TaskEvent], None], name: str) -> None:
        self.name = name
        self._storage = storage
        self._post = post
        self._condition = threading.Condition()
        self._waiting: deque[tuple[int, SubtaskSnapshot]] = deque()
        self._given_up = 0
        self._stopped = False
        self._thread: threading.Thread | None = None

    @property
    def waiting(self) -> int:
        """How many snapshots are still to be stored, beside the one in work; any thread."""
        return len(self._waiting)

    def __repr__(self) -> str:
        return f"<PartThread {self.name}: {self.waiting} snapshots to store>"

    def put(self, checkpoint_id: int, snapshot: SubtaskSnapshot) -> None:
        """Store the state in a snapshot, then acknowledge; any thread."""
        if all(operator.keyed is None for operator in snapshot.operators):
            self._post(Acknowledged(checkpoint_id, snapshot))
            return
        with self._condition:
            self._waiting.append((checkpoint_id, snapshot))
            self._condition.notify()
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                self._thread.start()

    def abandon(self, checkpoint_id: int) -> None:
        """Give up a checkpoint and all before it: what is left of them is released, not written."""
        with self._condition:
            self._given_up = max(self._given_up, checkpoint_id)
            self._condition.notify()

    def stop(self) -> None:
        """Give up everything and end the thread; any thread."""
        with self._condition:
            self._stopped = True
            self._condition.notify()

    def join(self, timeout: timedelta) -> bool:
        """Wait for the thread to end; False if a write keeps it longer than `timeout`."""
        if self._thread is None:
            return True
        self._thread.join(timeout.total_seconds())
        return not self._thread.is_alive()

    def _run(self) -> None:
        while self._wait():
            checkpoint_id, snapshot = self._waiting.popleft()
            with _released(snapshot):
                if self._wanted(checkpoint_id):
                    self._store(checkpoint_id, snapshot)
        for _, snapshot in self._waiting:
            with _released(snapshot):
                pass

    def _wait(self) -> bool:
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._stopped)
            return not self._stopped

    def _wanted(self, checkpoint_id: int) -> bool:
        return checkpoint_id > self._given_up and not self._stopped

    def _store(self, checkpoint_id: int, snapshot: SubtaskSnapshot) -> None:
        try:
            for operator in snapshot.operators:
                if operator.keyed is not None:
                    snapshot.parts.append(self._write(checkpoint_id, operator))
        except Interrupted:
            return
        except BaseException as error:  # noqa: BLE001 - reported as the subtask's own
            if isinstance(error, CheckpointError) and error.retryable:
                self._post(Declined(checkpoint_id, snapshot.participant, error))
            else:
                self._post(SubtaskFailed(snapshot.participant, as_exception(error)))
        else:
            self._post(Acknowledged(checkpoint_id, snapshot))

    def _write(self, checkpoint_id: int, operator: OperatorSnapshot) -> Part:
        if self._storage is None or operator.keyed is None:
            raise InternalError(f"{operator.uid} has state to store, but the job stores nothing")
        part = self._storage.open_part(operator.uid, operator.subtask)
        try:
            operator.keyed.write(_WantedPart(part, lambda: self._wanted(checkpoint_id)))
            return part.seal(checkpoint_id)
        except BaseException:
            part.discard()
            raise


class _WantedPart:
    """A part that can be written as long as its checkpoint has not been given up."""

    def __init__(self, part: PartWriter, wanted: Callable[[], bool]) -> None:
        self._part = part
        self._wanted = wanted

    def write(self, data: bytes, /) -> None:
        if not self._wanted():
            raise Interrupted
        self._part.write(data)


@contextmanager
def _released(snapshot: SubtaskSnapshot) -> Generator[None]:
    """Let go of the state in a snapshot at the end, whatever became of it."""
    try:
        yield
    finally:
        for operator in snapshot.operators:
            if operator.keyed is not None:
                operator.keyed.release()
