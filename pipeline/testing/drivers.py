"""Run one sink as the engine does, without a job, a step at a time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.waits import Waits
from pipeline.spi.sink import AnySink, CommitOutcome, RecoveryChoices, Sink, TwoPhaseCommitSink
from pipeline.testing.source_driver import loaded, stored


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
        waits: those of the sink, which `cancel` ends; by the system's clock unless it says otherwise.
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
    waits: Waits = field(default_factory=lambda: Waits(SystemClock()))
    logs: LogShelf = field(default_factory=LogShelf)
    newest: Callable[[], None] = lambda: None
    fields: Sequence[str] | None = None

    @property
    def clock(self) -> Clock:
        return self.waits.clock

    def wait(self, timeout: timedelta) -> bool:
        """Wait, or return at once after `cancel`."""
        return self.waits.wait(timeout)

    def cancel(self) -> None:
        """End the waits of the sink, as the engine does beside `AnySink.cancel`; any thread."""
        self.waits.cancel()

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

    `attempt` yields after each step. A test that does not resume it has killed the process there; the
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
        """Start, recover, and continue to the end; yields the name of each step that is done."""
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
