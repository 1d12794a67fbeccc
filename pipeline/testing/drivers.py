"""Run one source or one sink as the engine does, without a job, a step at a time."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Generic, Self, TypeVar, cast

from pipeline.core.errors import SourceError
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Origin
from pipeline.spi.sink import AnySink, CommitOutcome, RecoveryChoices, Sink, TwoPhaseCommitSink
from pipeline.spi.source import Source
from state.encoding import from_json, to_json

T = TypeVar("T")

PATIENCE_S: Final = 20.0
"""Nothing a test waits for takes this long, unless it never comes."""


def stored(value: Any) -> str:
    """Return `value` as a manifest keeps it, so that nothing is shared with who goes on."""
    return json.dumps(to_json(value))


def loaded(text: str) -> Any:
    """Return what `stored` was given."""
    return from_json(json.loads(text))


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """A position, as a manifest keeps it, and how many records the attempt had emitted before it."""

    state: str
    emitted: int


class SourceDriver(Generic[T]):
    """One attempt of a source, on a thread of its own; the test hands out the demand.

    It is the source's context and holds it to the contract: a source that emits more than was
    asked for, or without the checkpoint lock, fails the test.

    Args:
        source: the user's instance; a shallow copy of it runs.
        restore: where to continue; None starts at the beginning.
        batch_limit: the most records worth reading at once.
        barriers: take a snapshot whenever a barrier could come: before and after each hold of the
            checkpoint lock; they are in `moments`.

    Example:
        >>> from connectors import CollectionSource
        >>> with SourceDriver(CollectionSource([1, 2, 3])) as driver:
        ...     driver.take(2)
        [1, 2]
    """

    def __init__(
        self,
        source: Source[T],
        restore: SourceSnapshot | None = None,
        *,
        batch_limit: int = 1024,
        barriers: bool = False,
    ) -> None:
        self.job_name = "verification"
        self.uid = "source"
        self.batch_limit = batch_limit
        self.source = copy.copy(source)
        self.emitted: list[T] = []
        self.origins: list[Origin] = []
        self.rejected: list[Origin] = []
        self.splits: set[str] = set()
        self.ended_splits: set[str] = set()
        self.pending: dict[str, bool] = {}
        self.moments: list[SourceSnapshot] = []
        self._silent: list[str] = []
        self._barriers = barriers
        self._restore = restore
        self._changed = threading.Condition()
        self._lock = threading.Lock()
        self._holder: int | None = None
        self._demand = 0
        self._waiting = False
        self._cancelled = False
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="verification/source", daemon=True)

    # --- the test's side -----------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        self.cancel()
        self.join()
        if kind is None:
            self._raise_error()

    def request(self, n: int) -> None:
        """Ask for `n` more records and do not wait for them."""
        with self._changed:
            self._demand += n
            self._changed.notify_all()

    def take(self, n: int) -> list[T]:
        """Ask for `n` more records and return them: fewer only if the input has ended."""
        before = len(self.emitted)
        self.request(n)
        self.wait_until_emitted(before + n)
        return self.emitted[before:]

    def wait_until_emitted(self, records: int) -> None:
        """Return once there are so many in all, or the input has ended."""
        self._wait_until(lambda: len(self.emitted) >= records or self._ended, f"{records} records")

    def wait_until_splits(self, splits: int) -> None:
        """Return once the source has declared so many splits."""
        self._wait_until(lambda: len(self.splits) >= splits, f"{splits} splits")

    def wait_until_ended_splits(self, splits: int) -> None:
        """Return once the source has ended so many splits."""
        self._wait_until(lambda: len(self.ended_splits) >= splits, f"{splits} ended splits")

    def ask_about(self, split: str) -> bool:
        """Tell the source that a split is silent, and return whether it finds records pending there."""
        with self._changed:
            self.pending.pop(split, None)
            self._silent.append(split)
        self._wait_until(lambda: split in self.pending, f"the source to look at {split}")
        return self.pending[split]

    def wait_until_idle(self) -> None:
        """Return once the source waits for demand, or its input has ended."""
        self._wait_until(lambda: (self._waiting and not self._demand) or self._ended, "the source to wait")

    def snapshot(self) -> SourceSnapshot:
        """Take the position as a barrier does, whatever the source is doing."""
        with self._holding():
            return SourceSnapshot(stored(self.source.snapshot_state()), len(self.emitted))

    def cancel(self) -> None:
        """Cancel the attempt, as another thread does."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()
        self.source.cancel()

    def join(self) -> None:
        """Wait for the end of a cancelled attempt."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the source did not return from run"

    @property
    def ended(self) -> bool:
        """Whether the source has returned from `run`."""
        return self._ended

    # --- the source's side: SourceContext --------------------------------------------------------

    @property
    def checkpoint_lock(self) -> AbstractContextManager[None]:
        return self._between_barriers() if self._barriers else self._holding()

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def wait_demand(self) -> int:
        with self._changed:
            self._waiting = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._demand > 0 or self._cancelled)
            self._waiting = False
            return 0 if self._cancelled else self._demand

    def emit(
        self,
        values: Sequence[T],
        timestamps: Sequence[int] | None = None,
        origins: Sequence[Origin] | None = None,
        *,
        split: str = "",
    ) -> None:
        assert self._holder == threading.get_ident(), "emitted without holding ctx.checkpoint_lock"
        assert len(values) <= self._demand, f"emitted {len(values)} records, {self._demand} were asked for"
        for beside in (timestamps, origins):
            assert beside is None or len(beside) == len(values), "not one timestamp or origin a record"
        with self._changed:
            self.emitted.extend(values)
            self.origins.extend(origins or ())
            self.splits.add(split)
            self._demand -= len(values)
            self._changed.notify_all()

    def reject(self, value: object, error: SourceError, origin: Origin, policy: ErrorPolicy) -> None:
        assert self._holder == threading.get_ident(), "rejected without holding ctx.checkpoint_lock"
        if policy.kind == "fail":
            raise error
        with self._changed:
            self.rejected.append(origin)
            self._changed.notify_all()

    def declare_splits(self, splits: Sequence[str]) -> None:
        assert self._holder == threading.get_ident(), "declared splits without holding ctx.checkpoint_lock"
        with self._changed:
            self.splits.update(splits)
            self._changed.notify_all()

    def end_splits(self, splits: Sequence[str]) -> None:
        assert self._holder == threading.get_ident(), "ended splits without holding ctx.checkpoint_lock"
        with self._changed:
            self.ended_splits.update(splits)
            self._changed.notify_all()

    def silent_splits(self) -> Sequence[str]:
        with self._changed:
            silent, self._silent = self._silent, []
            return silent

    def settle_silence(self, split: str, *, pending: bool) -> None:
        assert self._holder == threading.get_ident(), "settled a silence without holding ctx.checkpoint_lock"
        with self._changed:
            self.pending[split] = pending
            self._changed.notify_all()

    # --- inside ------------------------------------------------------------------------------------

    @contextmanager
    def _holding(self) -> Generator[None]:
        assert self._lock.acquire(timeout=PATIENCE_S), "the source waits under the checkpoint lock"
        self._holder = threading.get_ident()
        try:
            yield
        finally:
            self._holder = None
            self._lock.release()

    @contextmanager
    def _between_barriers(self) -> Generator[None]:
        self.moments.append(self.snapshot())
        with self._holding():
            yield
        self.moments.append(self.snapshot())

    def _run(self) -> None:
        try:
            try:
                self.source.open(self)
                if self._restore is not None:
                    self.source.restore_state(loaded(self._restore.state))
                else:
                    self.source.find_start()
                self.source.run(self)
                self._end()
                with self._changed:  # its last position may be asked for until it is closed
                    self._changed.wait_for(lambda: self._cancelled)
            finally:
                self.source.close()
        except BaseException as error:  # noqa: BLE001 -- raised again on the test's thread
            self._error = error
            self._end()

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _wait_until(self, reached: Callable[[], bool], what: str) -> None:
        with self._changed:
            in_time = self._changed.wait_for(reached, PATIENCE_S)
        self._raise_error()
        assert in_time, f"waited in vain for {what}"

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error


class VerificationLog:
    """One epoch log of `LogShelf`."""

    def __init__(self, shelf: LogShelf) -> None:
        self._shelf = shelf
        self._payloads: list[bytes] = []

    @property
    def size_bytes(self) -> int:
        return sum(map(len, self._payloads))

    def append(self, payload: bytes) -> None:
        self._payloads.append(bytes(payload))

    def seal(self) -> str:
        refusal, self._shelf.refuse_next = self._shelf.refuse_next, None
        if refusal is not None:
            raise refusal
        name = f"log-{len(self._shelf.sealed)}"
        self._shelf.sealed[name] = self._payloads
        return name

    def discard(self) -> None:
        self._payloads = []


@dataclass(slots=True)
class LogShelf:
    """The sealed epoch logs of all attempts: what outlives a process.

    Attributes:
        refuse_next: what the next sealing raises, once.
    """

    sealed: dict[str, list[bytes]] = field(default_factory=dict[str, list[bytes]])
    refuse_next: Exception | None = None

    def open(self) -> VerificationLog:
        return VerificationLog(self)


@dataclass(frozen=True, slots=True)
class VerificationSinkContext:
    """The `SinkContext` of one attempt.

    Args:
        logs: shared with the other attempts.
        newest: raises `Fenced` if the attempt has been overtaken; by default it has not.
        fields: the names of the fields that a source knows.
    """

    attempt: int = 1
    job_name: str = "verification"
    uid: str = "sink"
    subtask: int = 0
    parallelism: int = 1
    lineage: str = "verification"
    checkpoint_interval: timedelta | None = None
    choices: RecoveryChoices = RecoveryChoices()  # noqa: RUF009 - frozen
    logs: LogShelf = field(default_factory=LogShelf)
    newest: Callable[[], None] = lambda: None
    fields: Sequence[str] | None = None

    def open_log(self) -> VerificationLog:
        return self.logs.open()

    def read_log(self, name: str) -> Iterator[bytes]:
        return iter(self.logs.sealed[name])

    def ensure_newest(self) -> None:
        self.newest()


@dataclass(slots=True)
class SinkManifest:
    """What is decided: the sink's state, handles to commit, epochs covered; `noted` once committed."""

    state: str
    handles: str
    epochs: int
    noted: bool = False


@dataclass(slots=True)
class SinkJob:
    """A job reduced to its sink and the two-phase protocol, which a test may stop anywhere.

    `attempt` yields after each step. Whoever does not resume it has killed the process there; the
    next `attempt` recovers from `manifest`, the only thing that outlives an attempt.

    Args:
        create_sink: makes the sink, as a new process does.
        epochs: the records of each epoch; the last one is the end of the input.

    Attributes:
        manifest: the newest one.
        visible_epochs: how many epochs a commit has been seen to return for.
    """

    create_sink: Callable[[], AnySink[Any]]
    epochs: Sequence[Sequence[Any]]
    manifest: SinkManifest | None = None
    attempts: int = 0
    visible_epochs: int = 0
    completed: bool = False
    logs: LogShelf = field(default_factory=LogShelf)

    def run(self) -> None:
        """Run one attempt to its end."""
        for _ in self.attempt():
            pass

    def attempt(self) -> Iterator[str]:
        """Start, recover, and go on to the end; yields the name of each step that is done."""
        self.attempts += 1
        ctx = VerificationSinkContext(attempt=self.attempts, logs=self.logs)
        sink = copy.copy(self.create_sink())
        sink.open(ctx)
        yield "opened"
        yield from self._recover(sink)
        first = 0 if self.manifest is None else self.manifest.epochs
        txn = _begin(sink)
        for number, epoch in enumerate(self.epochs[first:], first + 1):
            for piece in (epoch[: len(epoch) // 2], epoch[len(epoch) // 2 :]):
                _write(sink, txn, piece, ctx)
                yield "a part written"
            if number == len(self.epochs):
                sink.finish()
            yield from self._checkpoint(sink, txn, number)
            txn = _begin(sink)
        sink.close()
        self.completed = True

    def _recover(self, sink: AnySink[Any]) -> Iterator[str]:
        manifest = self.manifest
        if manifest is not None and not manifest.noted:
            yield from self._commit(sink, manifest, recovering=True)
        if manifest is not None:
            sink.restore_state(loaded(manifest.state))
            yield "restored"
        two_phase = _two_phase(sink)
        if two_phase is not None:
            two_phase.recover_and_abort([] if manifest is None else loaded(manifest.handles))
            yield "cleaned up"

    def _checkpoint(self, sink: AnySink[Any], txn: Any, number: int) -> Iterator[str]:
        sink.flush()
        yield "flushed"
        handle = None
        two_phase = _two_phase(sink)
        if two_phase is not None:
            handle = two_phase.pre_commit(txn)
            yield "pre-committed"
        handles = stored([] if handle is None else [handle])
        manifest = SinkManifest(stored(sink.snapshot_state()), handles, number)
        yield "snapshot taken"
        self.manifest = manifest
        yield "decided"
        yield from self._commit(sink, manifest, recovering=False)

    def _commit(self, sink: AnySink[Any], manifest: SinkManifest, *, recovering: bool) -> Iterator[str]:
        for handle in loaded(manifest.handles):
            two_phase = cast("TwoPhaseCommitSink[Any, Any]", sink)
            commit = two_phase.recover_and_commit if recovering else two_phase.commit
            outcome = commit(handle)
            assert outcome in (CommitOutcome.COMMITTED, CommitOutcome.ALREADY_COMMITTED), outcome
            yield "committed"
        self.visible_epochs = manifest.epochs
        manifest.noted = True
        yield "noted"


def _two_phase(sink: AnySink[Any]) -> TwoPhaseCommitSink[Any, Any] | None:
    if isinstance(sink, TwoPhaseCommitSink):
        return cast("TwoPhaseCommitSink[Any, Any]", sink)
    return None


def _begin(sink: AnySink[Any]) -> Any:
    two_phase = _two_phase(sink)
    return None if two_phase is None else two_phase.begin_transaction()


def _write(sink: AnySink[Any], txn: Any, values: Sequence[Any], ctx: VerificationSinkContext) -> None:
    two_phase = _two_phase(sink)
    if two_phase is not None:
        two_phase.invoke_batch(txn, values, ctx)
    else:
        cast("Sink[Any]", sink).invoke_batch(values, ctx)
