"""Run one source as the engine does, without a job: the test hands out the demand and takes the snapshots."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Generic, Self, TypeVar

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import SourceError
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Origin
from pipeline.core.waits import Waits
from pipeline.spi.source import Source
from state.encoding import from_json, to_json

T = TypeVar("T")

PATIENCE_S: Final = 20.0
"""Nothing a test waits for takes this long, unless it never comes."""


def stored(value: Any) -> str:
    """Return `value` as a manifest keeps it, so that nothing is shared with the running source."""
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

    It holds the source to the contract: one that emits more than was asked for, or without the
    checkpoint lock, fails the test.

    Args:
        source: the user's instance; a shallow copy of it runs.
        restore: where to continue; None starts at the beginning.
        batch_limit: the most records worth reading at once.
        barriers: take a snapshot whenever a barrier could come: before and after each hold of the
            checkpoint lock; they are in `moments`.
        clock: of the source; the system's by default.

    Attributes:
        source: the copy that runs.
        heard: what it has emitted and said so far.

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
        clock: Clock | None = None,
    ) -> None:
        self.source = copy.copy(source)
        self.heard: Heard[T] = Heard()
        self.moments: list[SourceSnapshot] = []
        self._restore = restore
        self._changed = threading.Condition()
        self._lock = _WatchedLock(self._take_moment if barriers else None)
        waits = Waits(clock or SystemClock())
        self._ctx = DrivenContext(self.heard, self._changed, self._lock, waits, batch_limit)
        self._ended = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="verification/source", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        self.cancel()
        self.join()
        if kind is None:
            self._raise_error()

    @property
    def emitted(self) -> list[T]:
        """The records emitted so far."""
        return self.heard.emitted

    @property
    def origins(self) -> list[Origin]:
        """Where they were read, as far as the source has said so."""
        return self.heard.origins

    def request(self, n: int) -> None:
        """Ask for `n` more records and do not wait for them."""
        self._ctx.request(n)

    def take(self, n: int) -> list[T]:
        """Ask for `n` more records and return them: fewer only if the input has ended."""
        before = len(self.emitted)
        self.request(n)
        self.wait_until_emitted(before + n)
        return self.emitted[before:]

    def wait_until_emitted(self, records: int) -> None:
        """Return once there are that many in all, or the input has ended."""
        self._wait_until(lambda: len(self.emitted) >= records or self._ended, f"{records} records")

    def wait_until_splits(self, splits: int) -> None:
        """Return once the source has declared that many splits."""
        self._wait_until(lambda: len(self.heard.splits) >= splits, f"{splits} splits")

    def wait_until_ended_splits(self, splits: int) -> None:
        """Return once the source has ended that many splits."""
        self._wait_until(lambda: len(self.heard.ended_splits) >= splits, f"{splits} ended splits")

    def ask_about(self, split: str) -> bool:
        """Tell the source that a split is silent, and return whether it finds records pending there."""
        pending = self.heard.pending
        with self._changed:
            pending.pop(split, None)
            self._ctx.silent.append(split)
        self._wait_until(lambda: split in pending, f"the source to look at {split}")
        return pending[split]

    def wait_until_idle(self) -> None:
        """Return once the source waits for demand, or its input has ended."""
        self._wait_until(lambda: self._ctx.waits_for_demand or self._ended, "the source to wait")

    def snapshot(self) -> SourceSnapshot:
        """Take the position as a barrier does, whatever the source is doing."""
        with self._lock.held():
            return SourceSnapshot(stored(self.source.snapshot_state()), len(self.emitted))

    def cancel(self) -> None:
        """Cancel the attempt, as another thread does."""
        self._ctx.cancel()
        self.source.cancel()

    def join(self) -> None:
        """Wait for the end of a cancelled attempt."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the source did not return from run"

    @property
    def ended(self) -> bool:
        """Whether the source has returned from `run`."""
        return self._ended

    def _take_moment(self) -> None:
        self.moments.append(self.snapshot())

    def _run(self) -> None:
        try:
            try:
                self.source.open(self._ctx)
                if self._restore is not None:
                    self.source.restore_state(loaded(self._restore.state))
                else:
                    self.source.find_start()
                self.source.run(self._ctx)
                self._end()
                with self._changed:  # its last position may be asked for until it is closed
                    self._changed.wait_for(lambda: self._ctx.cancelled)
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


@dataclass(slots=True)
class Heard(Generic[T]):
    """What a source has emitted and said.

    Attributes:
        emitted: its records.
        origins: where they were read.
        rejected: where those were read that it could not decode.
        splits: those it has declared or emitted records of.
        ended_splits: those that emit no more.
        pending: of each split that it was asked about, whether it has found records there.
    """

    emitted: list[T] = field(default_factory=list[T])
    origins: list[Origin] = field(default_factory=list[Origin])
    rejected: list[Origin] = field(default_factory=list[Origin])
    splits: set[str] = field(default_factory=set[str])
    ended_splits: set[str] = field(default_factory=set[str])
    pending: dict[str, bool] = field(default_factory=dict[str, bool])


class DrivenContext(Generic[T]):
    """The context of a driven source.

    Args:
        heard: what the source says goes here.
        changed: notified of it.
        lock: the checkpoint lock.
        waits: those of the source.
        batch_limit: the most records worth reading at once.

    Attributes:
        silent: splits to ask the source about.
    """

    job_name = "verification"
    uid = "source"

    def __init__(
        self,
        heard: Heard[T],
        changed: threading.Condition,
        lock: _WatchedLock,
        waits: Waits,
        batch_limit: int,
    ) -> None:
        self.batch_limit = batch_limit
        self.silent: list[str] = []
        self.cancelled = False
        self._heard = heard
        self._changed = changed
        self._lock = lock
        self._waits = waits
        self._demand = 0
        self._waiting = False

    @property
    def waits_for_demand(self) -> bool:
        """Whether the source waits until records are wanted, and none are."""
        return self._waiting and not self._demand

    def request(self, n: int) -> None:
        """Ask for `n` more records."""
        with self._changed:
            self._demand += n
            self._changed.notify_all()

    def cancel(self) -> None:
        """End whatever the source waits for here."""
        with self._changed:
            self.cancelled = True
            self._changed.notify_all()
        self._waits.cancel()

    # --- SourceContext -------------------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        return self._waits.clock

    @property
    def checkpoint_lock(self) -> AbstractContextManager[None]:
        return self._lock.between_barriers()

    def wait_demand(self) -> int:
        with self._changed:
            self._waiting = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._demand > 0 or self.cancelled)
            self._waiting = False
            return 0 if self.cancelled else self._demand

    def wait(self, timeout: timedelta) -> bool:
        return self._waits.wait(timeout)

    def emit(
        self,
        values: Sequence[T],
        timestamps: Sequence[int] | None = None,
        origins: Sequence[Origin] | None = None,
        *,
        split: str = "",
    ) -> None:
        assert len(values) <= self._demand, f"emitted {len(values)} records, {self._demand} were asked for"
        for beside in (timestamps, origins):
            assert beside is None or len(beside) == len(values), "not one timestamp or origin a record"
        with self._saying("emitted") as heard:
            heard.emitted.extend(values)
            heard.origins.extend(origins or ())
            heard.splits.add(split)
            self._demand -= len(values)

    def reject(self, value: object, error: SourceError, origin: Origin, policy: ErrorPolicy) -> None:
        with self._saying("rejected") as heard:
            if policy.kind == "fail":
                raise error
            heard.rejected.append(origin)

    def declare_splits(self, splits: Sequence[str]) -> None:
        with self._saying("declared splits") as heard:
            heard.splits.update(splits)

    def end_splits(self, splits: Sequence[str]) -> None:
        with self._saying("ended splits") as heard:
            heard.ended_splits.update(splits)

    def silent_splits(self) -> Sequence[str]:
        with self._changed:
            silent, self.silent = self.silent, []
            return silent

    def settle_silence(self, split: str, *, pending: bool) -> None:
        with self._saying("settled a silence") as heard:
            heard.pending[split] = pending

    @contextmanager
    def _saying(self, what: str) -> Generator[Heard[T]]:
        assert self._lock.is_mine, f"{what} without holding ctx.checkpoint_lock"
        with self._changed:
            yield self._heard
            self._changed.notify_all()


class _WatchedLock:
    """A lock that knows which thread holds it.

    Args:
        barrier: called before and after each hold of the source, where a barrier could come.
    """

    def __init__(self, barrier: Callable[[], None] | None) -> None:
        self._barrier = barrier
        self._lock = threading.Lock()
        self._holder: int | None = None

    @property
    def is_mine(self) -> bool:
        """Whether this thread holds it."""
        return self._holder == threading.get_ident()

    @contextmanager
    def held(self) -> Generator[None]:
        """Hold it."""
        assert self._lock.acquire(timeout=PATIENCE_S), "the source waits under the checkpoint lock"
        self._holder = threading.get_ident()
        try:
            yield
        finally:
            self._holder = None
            self._lock.release()

    @contextmanager
    def between_barriers(self) -> Generator[None]:
        """Hold it as a source does."""
        barrier = self._barrier or _no_barrier
        barrier()
        with self.held():
            yield
        barrier()


def _no_barrier() -> None:
    """Snapshots are taken by the test only."""
