"""The contract of a sink: where a stream ends, and how an epoch becomes visible all at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from pipeline.core.clock import Clock
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
        owns: what two sinks of one kind would overwrite for each other, such as the full path of a
            file; None where several may write to one target, as they may to a topic.
    """

    kind: str
    target: str
    guarantee: str
    max_parallelism: int = 1
    owns: str | None = None


@dataclass(frozen=True, slots=True)
class RecoveryChoices:
    """Decisions of the person who starts a job about output that the engine cannot judge by itself.

    Args:
        accept_duplicates: continue from before output that is visible already.
        assume_committed: whether an epoch counts as committed if that cannot be determined; None refuses.
        take_over: run although another run may hold the target; the other can no longer decide anything.
    """

    accept_duplicates: bool = False
    assume_committed: bool | None = None
    take_over: bool = False


class EpochLog(Protocol):
    """What a sink gets in one epoch, stored with the checkpoint so that it can be written again."""

    @property
    def size_bytes(self) -> int:
        """What has been appended so far."""
        ...

    def append(self, payload: bytes) -> None:
        """Add what was written; one large payload costs less than many small ones."""
        ...

    def seal(self) -> str:
        """Make the log part of the coming checkpoint and return the name to read it by.

        Raises:
            CheckpointError: it cannot be stored. If that is retryable, `pre_commit` lets the error
                pass before it has changed anything: the checkpoint is declined, the epoch continues.
        """
        ...

    def discard(self) -> None:
        """Drop it; without effect once it is sealed."""
        ...


class SinkContext(Protocol):
    """What a sink gets from the engine when it is opened.

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

    @property
    def checkpoint_interval(self) -> timedelta | None:
        """The time from one checkpoint to the next; None if they are not taken by time."""
        ...

    @property
    def choices(self) -> RecoveryChoices: ...

    @property
    def fields(self) -> Sequence[str] | None:
        """The names of the fields that the records to come have, in their order.

        None where their source does not say, or an operator in between makes records of its own.
        """
        ...

    @property
    def clock(self) -> Clock:
        """The clocks of the job: what takes time goes by these, so that a test can move them."""
        ...

    def wait(self, timeout: timedelta) -> bool:
        """Wait until `timeout` has passed; any thread, from `open` on.

        Returns:
            False at once when the attempt is cancelled, True otherwise.
        """
        ...

    def open_log(self) -> EpochLog:
        """Begin the log of an epoch."""
        ...

    def read_log(self, name: str) -> Iterator[bytes]:
        """Yield what was appended to a sealed log, of this attempt or of the one recovered from."""
        ...

    def ensure_newest(self) -> None:
        """Raise `Fenced` if a newer attempt has taken the job over: this one must leave its target alone."""
        ...


class CommitOutcome(StrEnum):
    """How a commit ended."""

    COMMITTED = "committed"
    ALREADY_COMMITTED = "already committed"
    RETRY = "retry"  # a passing fault: the same commit may be tried again
    FAILED = "failed"  # it can never be committed: data would be lost, the job stops


class AnySink(ABC, Generic[T_contra]):
    """What plain and transactional sinks share. All calls come from one thread at a time.

    The engine calls `open`, `restore_state` if there is something to restore, then passes on what
    arrives, `flush` and `snapshot_state` at each barrier, `finish` once after the last record
    (before the last barrier), `close`. Like a source it is shallow-copied for each attempt.
    """

    @property
    @abstractmethod
    def info(self) -> SinkInfo:
        """Facts known before `open`."""

    def open(self, ctx: SinkContext, /) -> None:
        """Connect. Raise `SinkError` with what was expected and found if that fails."""

    @property
    def wants_more(self) -> bool:
        """Whether it can take more records in this epoch; if not, the engine hastens the checkpoint."""
        return True

    def flush(self) -> None:
        """Pass on what is buffered; records taken before are out of this process's hands after."""

    def finish(self) -> None:
        """No record will follow: what the next pre-commit covers is complete."""

    def snapshot_state(self) -> JsonLike:
        """Return what `restore_state` needs to continue after the last record taken."""
        return None

    def restore_state(self, state: JsonLike, /) -> None:
        """Continue after the last record that `state` covers; called after `open`."""

    def give_up(self, state: JsonLike) -> None:
        """An earlier run, which was at `state`, did not complete and is not continued.

        Called after `open`, instead of `restore_state`, once for each subtask of that run. What it
        has made visible may be replaced by what this one commits.
        """

    @property
    def remarks(self) -> Sequence[str]:
        """Notes on the target for the summary of the run; one line each."""
        return ()

    def cancel(self) -> None:
        """Return soon from whatever call waits for the target; any thread, more than once."""

    def close(self) -> None:
        """Release everything `open` acquired; called exactly once per `open`, whatever failed."""


class Sink(AnySink[T_contra]):
    """A sink whose records are out as soon as it has taken them: at-least-once at best."""

    def invoke(self, value: T_contra, ctx: SinkContext, /) -> None:
        """Take one record. A sink overrides this or `invoke_batch`."""
        raise NotImplementedError(f"{type(self).__name__} implements neither invoke nor invoke_batch")

    def invoke_batch(self, values: Sequence[T_contra], ctx: SinkContext, /) -> None:
        """Take the records in their order."""
        for value in values:
            self.invoke(value, ctx)


class TwoPhaseCommitSink(AnySink[T_contra], Generic[T_contra, Txn]):
    """A sink whose records become visible only when the checkpoint that covers them is complete.

    One transaction spans one epoch. A transaction handle is a plain value that the state encoding
    can store: it goes into the manifest, and another process may be the one that commits it.

    `commit_timeout` is how long commits are tried before the job fails and recovers.

    - `pre_commit` makes all of the epoch durable at the target, invisible; after it `commit` must
      be able to succeed, whatever happens to this process.
    - `commit` is idempotent and may be called by another process; so are `recover_and_commit`
      (called after a restart for what the manifest decided) and both aborts.
    - a checkpoint that fails while the job runs aborts nothing: its transactions are committed
      with the next one that completes. A sink that cannot keep several apart puts them together
      in `join`.
    - after a restore, `recover_and_abort` is called for nothing in particular: it removes what
      earlier attempts left behind that no manifest names.
    """

    commit_timeout: timedelta = timedelta(seconds=3)

    @abstractmethod
    def begin_transaction(self) -> Txn:
        """Start the next epoch."""

    def invoke(self, txn: Txn, value: T_contra, ctx: SinkContext, /) -> None:
        """Take one record into the epoch. A sink overrides this or `invoke_batch`."""
        raise NotImplementedError(f"{type(self).__name__} implements neither invoke nor invoke_batch")

    def invoke_batch(self, txn: Txn, values: Sequence[T_contra], ctx: SinkContext, /) -> None:
        """Take the records into the epoch, in their order."""
        for value in values:
            self.invoke(txn, value, ctx)

    @abstractmethod
    def pre_commit(self, txn: Txn, /) -> Txn | None:
        """Make the epoch durable and return the handle to commit it by; None if it holds nothing."""

    def join(self, older: Txn, younger: Txn, /) -> Txn | None:
        """Make one transaction of two that are pre-committed, since the older one's checkpoint failed.

        Called before the next transaction begins. Return the handle that stands for both, or None
        to have each committed by its own.
        """
        return None

    @abstractmethod
    def commit(self, txn: Txn, /) -> CommitOutcome:
        """Make the epoch visible; may run on another thread, while the next epoch is written."""

    @abstractmethod
    def abort(self, txn: Txn, /) -> None:
        """Drop an epoch that no checkpoint covers; called when the job fails or is cancelled."""

    def recover_and_commit(self, txn: Txn, /) -> CommitOutcome:
        """Commit after a restart what a manifest has decided."""
        return self.commit(txn)

    @abstractmethod
    def recover_and_abort(self, keep: Sequence[Txn], /) -> None:
        """Remove what earlier attempts left behind, except what the handles in `keep` need."""
