"""The contract of a source: where a stream begins, and how its position is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from pipeline.core.clock import Clock
from pipeline.core.errors import SourceError
from pipeline.core.job import JobMode
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Origin

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

JsonLike = Any
"""What a position or a sink's state may be: what the state encoding can store and give back equal."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What the planner must know of a source before it is opened.

    Args:
        kind: short name such as `kafka`; with `target` it makes the default uid.
        target: what it reads: a topic, a path, a key of the query.
        mode: the mode of a job that starts here.
        resumable: False if it can only start over; the job is then one epoch, committed at the end.
        durable: whether what it reads outlives the process, so that a later run can continue.
        guarantee: one line for `explain` where the source cannot promise exactly-once on its own.
        confirms_silence: whether it looks if a silent split has nothing pending, and says so with
            `SourceContext.settle_silence`; otherwise silence alone makes a split idle.
    """

    kind: str
    target: str
    mode: JobMode
    resumable: bool = True
    durable: bool = True
    guarantee: str | None = None
    confirms_silence: bool = False


class SourceContext(Protocol[T_contra]):
    """What a running source gets from the engine.

    A source may emit only what was asked for, and changes its position in the same hold of
    `checkpoint_lock` in which it emits, so that a snapshot means "the next record not yet emitted":

        while (n := ctx.wait_demand()):
            rows = self._read(n)
            with ctx.checkpoint_lock:
                ctx.emit(rows)
                self._position += len(rows)
    """

    @property
    def job_name(self) -> str: ...

    @property
    def uid(self) -> str: ...

    @property
    def clock(self) -> Clock:
        """The clocks of the job: what takes time goes by these, so that a test can move them."""
        ...

    @property
    def batch_limit(self) -> int:
        """The most records worth reading at once."""
        ...

    @property
    def checkpoint_lock(self) -> AbstractContextManager[Any]:
        """Held while emitting and moving the position; never wait or read while holding it."""
        ...

    @property
    def cancelled(self) -> bool:
        """True once the source should return from `run`."""
        ...

    def wait_demand(self) -> int:
        """Wait until records are wanted; return how many, or 0 once the source should return."""
        ...

    def wait(self, timeout: timedelta) -> bool:
        """Wait until `timeout` has passed, without `checkpoint_lock`; any thread, from `open` on.

        Returns:
            False at once when the attempt is cancelled or the source should return, True otherwise.
        """
        ...

    def emit(
        self,
        values: Sequence[T_contra],
        timestamps: Sequence[int] | None = None,
        origins: Sequence[Origin] | None = None,
        *,
        split: str = "",
    ) -> None:
        """Emit at most as many records as `wait_demand` returned, under `checkpoint_lock`.

        A source may call it several times in one hold of the lock, each time for records of one split.

        Args:
            values: the records, in their order within the split.
            timestamps: event time of each, milliseconds UTC, where the source knows it.
            origins: where each was read.
            split: the part of the input they come from, a partition for example; event time advances
                in each split by itself and as a whole with the slowest.
        """
        ...

    def reject(self, value: object, error: SourceError, origin: Origin, policy: ErrorPolicy) -> None:
        """Give up a record that cannot be decoded, under `checkpoint_lock`; the position passes it.

        Args:
            value: the record as it was found, for its dead letter.
            error: names the record and why; it is raised if the policy is to fail.
            origin: where it was read.
            policy: what to do: fail, skip and count, or dead-letter; the source's `on_error`.
        """
        ...

    def declare_splits(self, splits: Sequence[str]) -> None:
        """Name the splits that there are now, under `checkpoint_lock`; those named before stay.

        The first call of an attempt names all of them: what the checkpoint knows of others is dropped.
        A split that has emitted nothing yet holds event time back until it is idle or has ended. A
        source that never calls this has the one split "".
        """
        ...

    def end_splits(self, splits: Sequence[str]) -> None:
        """Say, under `checkpoint_lock`, that these splits emit no more records: event time passes them."""
        ...

    def silent_splits(self) -> Sequence[str]:
        """Return the splits that have emitted nothing for the idleness set by the user, each once.

        For a source whose `SourceInfo.confirms_silence` is True: it finds out whether records are
        pending in them and says so with `settle_silence`. Silence may also mean that a server does
        not answer, or that the first answer is still to come. Call it in `run`, without the lock.
        """
        ...

    def settle_silence(self, split: str, *, pending: bool) -> None:
        """Say, under `checkpoint_lock`, whether a split of `silent_splits` has records pending.

        Without any it is idle until it emits again; with some, or where that cannot be found out, its
        silence counts from now.
        """
        ...


class Source(ABC, Generic[T]):
    """Reads records from somewhere and knows its position.

    The engine calls, one after the other: `open`, `restore_state` if there is something to restore
    and `find_start` if not, `run`, `close`; `run` on a thread of the source's own, the others on the
    job's. `snapshot_state` is called under the checkpoint lock and `cancel` at any time, both from
    any thread. An instance describes the source; the engine runs a shallow copy of it for each
    attempt, so what `open` creates belongs to one attempt.
    """

    @property
    @abstractmethod
    def info(self) -> SourceInfo:
        """Facts known before `open`."""

    def overlap(self, other: object, /) -> str | None:
        """Name what it would read and another part of the job reads or writes too; None if nothing.

        Asked before anything is opened.

        Args:
            other: a sink or another source of the job.
        """
        return None

    def open(self, ctx: SourceContext[T], /) -> None:
        """Connect. Raise `SourceError` with what was expected and found if that fails."""

    def find_start(self) -> JsonLike:
        """Find where a fresh start begins, if a later look could find another place; None if not.

        `run` begins there, and so do all attempts that have no checkpoint to continue from: the engine
        keeps the position, passes it to their `restore_state`, and takes a checkpoint as soon as the
        job runs. Otherwise what was written before a restart would be skipped.
        """
        return None

    @property
    def remarks(self) -> Sequence[str]:
        """Notes on the input for the summary of the run; one line each."""
        return ()

    def record_fields(self) -> Sequence[str] | None:
        """Return the names of the fields that all its records have, in their order; None if it cannot tell.

        Called after `open`; a sink writes them where no record comes that would tell.
        """
        return None

    @abstractmethod
    def run(self, ctx: SourceContext[T], /) -> None:
        """Emit until the input ends or `ctx.cancelled`; returning means the input has ended."""

    def cancel(self) -> None:
        """Make a blocked `run` return soon; called from another thread, maybe more than once."""

    @abstractmethod
    def snapshot_state(self) -> JsonLike:
        """Return the position of the next record not yet emitted: not of the last one emitted."""

    @abstractmethod
    def restore_state(self, state: JsonLike, /) -> None:
        """Continue with the record that `state` names; called after `open`, before `run`."""

    def checkpoint_committed(self, checkpoint_id: int, /) -> None:
        """An epoch is committed: a place to notify the system that is read, never to rely on.

        No snapshot is taken between that of this checkpoint and this call. So a queue that wants each
        message acknowledged keeps the tags of what it emitted up to `snapshot_state`, and
        acknowledges them here; what is not, it delivers again after a failure.
        """

    def estimated_records(self) -> int | None:
        """Say about how many records there are in all, for progress; None where that is not known."""
        return None

    def close(self) -> None:
        """Release everything `open` acquired; called exactly once per `open`, whatever failed."""


class Rejected(NamedTuple):
    """What a poll found that cannot be read as a record; see `SourceContext.reject`."""

    value: object
    error: SourceError
    origin: Origin
    policy: ErrorPolicy


@dataclass(slots=True)  # made for each batch: a frozen one takes three times as long
class Polled(Generic[T]):
    """The result of one poll.

    Args:
        values: the records; may be empty if none is there yet.
        position: the position after the last of them, as `snapshot_state` returns it.
        timestamps: event time of each, milliseconds UTC, where the source knows it.
        origins: where each was read.
        split: the part of the input all of them come from.
        rejected: what could not be read among them.
    """

    values: Sequence[T]
    position: JsonLike
    timestamps: Sequence[int] | None = None
    origins: Sequence[Origin] | None = None
    split: str = ""
    rejected: Sequence[Rejected] = ()


class PollingSource(Source[T]):
    """A source that is asked for the next records; this class owns the loop, the lock and the position."""

    _position: JsonLike = None

    @abstractmethod
    def poll(self, demand: int, /) -> Polled[T] | None:
        """Return up to `demand` records (at least 1 is asked), or None at the end of the input.

        It may block until something is there; barriers pass meanwhile. After `cancel` it should
        return or raise soon; what it returns then is not emitted.
        """

    @abstractmethod
    def seek(self, position: JsonLike, /) -> None:
        """Go to `position`, or to the beginning if it is None; called after `open`, before `poll`."""

    def restore_state(self, state: JsonLike, /) -> None:
        self._position = state

    def snapshot_state(self) -> JsonLike:
        return self._position

    def run(self, ctx: SourceContext[T], /) -> None:
        self.seek(self._position)
        while demand := ctx.wait_demand():
            polled = self.poll(min(demand, ctx.batch_limit))
            if polled is None or ctx.cancelled:
                return
            with ctx.checkpoint_lock:
                for rejected in polled.rejected:
                    ctx.reject(*rejected)
                ctx.emit(polled.values, polled.timestamps, polled.origins, split=polled.split)
                self._position = polled.position
