"""The contract of a sink: where a stream ends, and how an epoch becomes visible all at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from pipeline.spi.source import JsonLike

T_contra = TypeVar("T_contra", contravariant=True)
Txn = TypeVar("Txn")


@dataclass(frozen=True, slots=True)
class SinkInfo:
    """What the planner must know of a sink before it is opened.

    Args:
        kind: short name such as `file`; with `target` it makes the default uid.
        target: what it writes to: a path, a topic, a table.
        guarantee: `exactly-once`, `at-least-once` or `none`, for `explain`.
        max_parallelism: the most subtasks it can run as.
    """

    kind: str
    target: str
    guarantee: str
    max_parallelism: int = 1


class SinkContext(Protocol):
    """What the engine gives to a sink when it is opened.

    `subtask` counts from 0; `attempt` is larger for every later start of the same job, so that
    names built from it never meet those of an earlier, perhaps still living process.
    """

    @property
    def job_name(self) -> str: ...

    @property
    def uid(self) -> str: ...

    @property
    def subtask(self) -> int: ...

    @property
    def parallelism(self) -> int: ...

    @property
    def lineage(self) -> str: ...

    @property
    def attempt(self) -> int: ...


class CommitOutcome(StrEnum):
    """How a commit ended."""

    COMMITTED = "committed"
    ALREADY_COMMITTED = "already committed"
    RETRY = "retry"  # a passing fault: the same commit may be tried again
    FAILED = "failed"  # it can never be committed: data would be lost, the job stops


class AnySink(ABC, Generic[T_contra]):
    """What plain and transactional sinks share. All calls come from one thread at a time.

    The engine calls `open`, `restore_state` if there is something to restore, then hands on what
    arrives, `flush` and `snapshot_state` at each barrier, `finish` once after the last record
    (before the last barrier), `close`. Like a source it is shallow-copied for each attempt.
    """

    @property
    @abstractmethod
    def info(self) -> SinkInfo:
        """Facts known before `open`."""

    def open(self, ctx: SinkContext) -> None:
        """Connect. Raise `SinkError` with what was expected and found if that fails."""

    def flush(self) -> None:
        """Pass on what is buffered; records taken before are out of this process's hands after."""

    def finish(self) -> None:
        """Hear that no record will follow: what the next pre-commit covers is complete."""

    def snapshot_state(self) -> JsonLike:
        """Return what `restore_state` needs to continue behind the last record taken."""
        return None

    def restore_state(self, state: JsonLike) -> None:
        """Continue behind the last record that `state` covers; called after `open`."""

    def close(self) -> None:
        """Release everything `open` acquired; called exactly once per `open`, whatever failed."""


class Sink(AnySink[T_contra]):
    """A sink whose records are out as soon as it has taken them: at-least-once at best."""

    def invoke(self, value: T_contra, ctx: SinkContext) -> None:
        """Take one record. A sink overrides this or `invoke_batch`."""
        raise NotImplementedError(f"{type(self).__name__} implements neither invoke nor invoke_batch")

    def invoke_batch(self, values: Sequence[T_contra], ctx: SinkContext) -> None:
        """Take the records in their order."""
        for value in values:
            self.invoke(value, ctx)


class TwoPhaseCommitSink(AnySink[T_contra], Generic[T_contra, Txn]):
    """A sink whose records become visible only when the checkpoint that covers them is complete.

    One transaction spans one epoch. A transaction handle is a plain value that the state encoding
    can store: it goes into the manifest, and another process may be the one that commits it.

    - `pre_commit` makes all of the epoch durable at the target, invisible; after it `commit` must
      be able to succeed, whatever happens to this process.
    - `commit` is idempotent and may be called by another process; so are `recover_and_commit`
      (called after a restart for what the manifest decided) and both aborts.
    - a checkpoint that fails while the job runs aborts nothing: its transactions are committed
      with the next one that completes.
    - after a restore, `recover_and_abort` is called for nothing in particular: it removes what
      earlier attempts left behind that no manifest names.
    """

    @abstractmethod
    def begin_transaction(self) -> Txn:
        """Start the next epoch."""

    def invoke(self, txn: Txn, value: T_contra, ctx: SinkContext) -> None:
        """Take one record into the epoch. A sink overrides this or `invoke_batch`."""
        raise NotImplementedError(f"{type(self).__name__} implements neither invoke nor invoke_batch")

    def invoke_batch(self, txn: Txn, values: Sequence[T_contra], ctx: SinkContext) -> None:
        """Take the records into the epoch, in their order."""
        for value in values:
            self.invoke(txn, value, ctx)

    @abstractmethod
    def pre_commit(self, txn: Txn) -> Txn | None:
        """Make the epoch durable and return the handle to commit it by; None if it holds nothing."""

    @abstractmethod
    def commit(self, txn: Txn) -> CommitOutcome:
        """Make the epoch visible; may run on another thread, while the next epoch is written."""

    @abstractmethod
    def abort(self, txn: Txn) -> None:
        """Drop an epoch that no checkpoint covers; called when the job fails or is cancelled."""

    def recover_and_commit(self, txn: Txn) -> CommitOutcome:
        """Commit after a restart what a manifest has decided."""
        return self.commit(txn)

    @abstractmethod
    def recover_and_abort(self, keep: Sequence[Txn]) -> None:
        """Remove what earlier attempts left behind, except what the handles in `keep` need."""
