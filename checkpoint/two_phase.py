"""The sink's side of two-phase commit: which transaction is written, which wait for a checkpoint."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from pipeline.core.errors import InternalError, SinkError

Txn = TypeVar("Txn")

RETRY: Final = "retry"
FAILED: Final = "failed"
"""The outcomes of a commit that need an answer; their other values mean it is done."""


class TwoPhaseSink(Protocol[Txn]):
    """What the driver needs of a sink; `pipeline.spi.sink.TwoPhaseCommitSink` explains each call."""

    def begin_transaction(self) -> Txn: ...
    def pre_commit(self, txn: Txn, /) -> Txn | None: ...
    def join(self, older: Txn, younger: Txn, /) -> Txn | None: ...
    def commit(self, txn: Txn, /) -> str: ...
    def abort(self, txn: Txn, /) -> None: ...
    def recover_and_commit(self, txn: Txn, /) -> str: ...
    def recover_and_abort(self, keep: Sequence[Txn], /) -> None: ...


@dataclass(frozen=True, slots=True)
class _Pending(Generic[Txn]):
    checkpoint_id: int
    handle: Txn
    recovered: bool = False


class TwoPhaseDriver(Generic[Txn]):
    """Runs the protocol for one subtask of one sink.

    A start is `recover(id, handles)` and `commit(id)` if a manifest has decided something, then
    `begin(keep)`. Then, for each barrier, `pre_commit`, and `commit` once its manifest exists.
    A transaction whose checkpoint fails is not aborted: it stays pending, is listed by the next
    manifest and committed with it, alone or as one with those that follow if the sink joins them.

    `commit` may run on another thread than the rest; it never holds up `pre_commit`.

    Args:
        sink: whose transactions these are.
        uid: the sink's, for error messages.
    """

    def __init__(self, sink: TwoPhaseSink[Txn], uid: str) -> None:
        self._sink = sink
        self._uid = uid
        self._current: Txn | None = None
        self._pending: list[_Pending[Txn]] = []
        self._lock = threading.Lock()  # guards _pending, never held during a call of the sink

    @property
    def current(self) -> Txn:
        """The transaction that takes the records of this epoch.

        Raises:
            InternalError: `begin` has not been called, or the driver is closed.
        """
        if self._current is None:
            raise InternalError(f"sink {self._uid} was used outside of a transaction")
        return self._current

    def recover(self, checkpoint_id: int, handles: Sequence[Txn]) -> None:
        """Take over what the manifest of `checkpoint_id` has decided; `commit` then commits it."""
        with self._lock:
            self._pending = [_Pending(checkpoint_id, handle, recovered=True) for handle in handles]

    def begin(self, keep: Sequence[Txn]) -> None:
        """Remove what earlier attempts left behind and start the first transaction.

        Args:
            keep: the handles of the restored manifest, whose remains may be needed still.

        Raises:
            InternalError: something recovered has not been committed.
        """
        if self._pending:
            raise InternalError(
                f"sink {self._uid} begins before {len(self._pending)} recovered commits are done"
            )
        self._sink.recover_and_abort(keep)
        self._current = self._sink.begin_transaction()

    def pre_commit(self, checkpoint_id: int) -> list[Txn]:
        """End the epoch, make it durable and begin the next.

        Returns:
            The handles the manifest must list, oldest first: this epoch's, unless it is empty, and
            those of earlier epochs whose checkpoints failed.

        Raises:
            PipelineError: what the sink raised before the epoch has ended: the epoch continues.
        """
        handle = self._sink.pre_commit(self.current)
        self._current = None  # it is pending from here on: `close` must not take it for unfinished
        if handle is not None:
            self._add(_Pending(checkpoint_id, handle))
        with self._lock:
            handles = [pending.handle for pending in self._pending]
        self._current = self._sink.begin_transaction()
        return handles

    def commit(self, checkpoint_id: int) -> list[Txn]:
        """Commit, oldest first, all that checkpoints up to `checkpoint_id` cover.

        An error does not keep the others from being committed; the first one is raised at the end,
        and what raised stays pending for the recovery.

        Returns:
            The handles that met a passing fault: call again, a bounded number of times.

        Raises:
            SinkError: not retryable, if the sink says that a transaction can never be committed.
        """
        with self._lock:
            decided = [pending for pending in self._pending if pending.checkpoint_id <= checkpoint_id]
        to_retry: list[Txn] = []
        first_error: Exception | None = None
        for pending in decided:
            try:
                if self._commit(pending):
                    self._forget(pending)
                else:
                    to_retry.append(pending.handle)
            except Exception as error:  # noqa: BLE001 -- the first one is raised below
                first_error = first_error or error
        if first_error is not None:
            raise first_error
        return to_retry

    def declined(self, checkpoint_id: int) -> None:
        """React to a checkpoint that will not complete: its transaction waits for the next one that does."""

    def close(self, undecided_from: int) -> None:
        """Abort what no manifest can name; what may be decided is left to the recovery.

        Every abort is tried; the first error is raised at the end.

        Args:
            undecided_from: the lowest checkpoint id that surely has no manifest
                (`CheckpointCoordinator.undecided_from`).
        """
        with self._lock:
            doomed = [p.handle for p in self._pending if p.checkpoint_id >= undecided_from]
            self._pending = [p for p in self._pending if p.checkpoint_id < undecided_from]
        if self._current is not None:
            doomed.append(self._current)
            self._current = None
        first_error: Exception | None = None
        for txn in doomed:
            try:
                self._sink.abort(txn)
            except Exception as error:  # noqa: BLE001 -- as in commit
                first_error = first_error or error
        if first_error is not None:
            raise first_error

    def _add(self, younger: _Pending[Txn]) -> None:
        """Append an epoch to those that wait; none is committed meanwhile, since none is decided."""
        with self._lock:
            self._pending.append(younger)
            older = self._pending[-2] if len(self._pending) > 1 else None
        joined = None if older is None else self._sink.join(older.handle, younger.handle)
        if joined is not None:
            with self._lock:
                self._pending[-2:] = [_Pending(younger.checkpoint_id, joined)]

    def _commit(self, pending: _Pending[Txn]) -> bool:
        """Return whether the transaction is committed; False asks for another try."""
        commit = self._sink.recover_and_commit if pending.recovered else self._sink.commit
        outcome = commit(pending.handle)
        if outcome == FAILED:
            raise SinkError(
                f"sink {self._uid} can never commit {pending.handle!r}, which checkpoint "
                f"{pending.checkpoint_id} has decided",
                retryable=False,
                hint="its data is lost at the target: find out who removed it before starting the job again",
            )
        return outcome != RETRY

    def _forget(self, pending: _Pending[Txn]) -> None:
        with self._lock:
            self._pending = [other for other in self._pending if other is not pending]
