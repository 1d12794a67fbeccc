"""Run one operator in a test, without a job: batches in, batches out, snapshot and restore."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from pipeline.core.clock import Clock
from pipeline.core.counts import FAILED, LATE
from pipeline.core.policy import DEAD_LETTERS, SideTag
from pipeline.core.records import Batch, FailedRecord, Origin
from pipeline.operators.base import OperatorFactory
from pipeline.operators.timers import OperatorTimers
from pipeline.spi.operator import StreamOperator, Timers
from pipeline.testing.clock import ManualClock
from state.backend import KeyedStateBackend
from state.encoding import from_json, to_json
from state.keys import groups_of
from state.memory import MemoryStateBackendFactory


@dataclass(frozen=True, slots=True)
class OperatorSnapshot:
    """What one subtask of an operator stored at a barrier.

    Args:
        keyed: its keyed state.
        operator: what `snapshot_state` returned, in its JSON form.
    """

    keyed: bytes
    operator: Any


class HarnessContext:
    """The `OperatorContext` of a harness; pauses are noted and not waited for."""

    def __init__(
        self,
        uid: str,
        subtask: int,
        parallelism: int,
        clock: Clock,
        keyed: KeyedStateBackend,
        *,
        event_time: bool,
    ) -> None:
        self.job_name = "harness"
        self.uid = uid
        self.subtask = subtask
        self.parallelism = parallelism
        self.clock = clock
        self.keyed_state = keyed
        self.sides: dict[SideTag, list[Any]] = {}
        self.event_time = event_time
        self.counters: Counter[str] = Counter()
        self.samples: list[FailedRecord] = []
        self.pauses: list[timedelta] = []
        self.timers = OperatorTimers()

    @property
    def event_timers(self) -> Timers:
        return self.timers.event

    @property
    def wall_timers(self) -> Timers:
        return self.timers.wall

    def side_output(self, tag: SideTag, values: Sequence[Any]) -> None:
        self.sides.setdefault(tag, []).extend(values)

    def count_failed(self, records: int, samples: Sequence[FailedRecord] = ()) -> None:
        self.counters[FAILED] += records
        self.samples.extend(samples)

    def count(self, name: str, records: int) -> None:
        self.counters[name] += records

    def pause(self, delay: timedelta) -> None:
        self.pauses.append(delay)


class OperatorHarness:
    """Opens an operator with memory state and drives it as the engine would; close it, or use `with`.

    Args:
        operator: an operator, or the spec that makes one.
        uid: its uid, for errors and dead letters.
        clock: its clock; default a `ManualClock`.
        restore: snapshots to continue from: one, or those of all subtasks of an earlier parallelism.
        subtask, parallelism, max_parallelism: which key groups its state holds.
        event_time: whether its time is that of timestamps and watermarks; else that of `clock`.

    Example:
        >>> with OperatorHarness(Reduce(operator.add, selector=lambda n: n % 2)) as harness:
        ...     harness.process([1, 2, 3])
        [1, 2, 4]
    """

    def __init__(
        self,
        operator: StreamOperator[Any, Any] | OperatorFactory,
        *,
        uid: str = "operator",
        clock: Clock | None = None,
        restore: OperatorSnapshot | Sequence[OperatorSnapshot] = (),
        subtask: int = 0,
        parallelism: int = 1,
        max_parallelism: int = 128,
        event_time: bool = True,
    ) -> None:
        self.clock = clock or ManualClock()
        groups = groups_of(subtask, parallelism, max_parallelism)
        self._keyed = MemoryStateBackendFactory(self.clock).create(uid, groups, max_parallelism)
        self._ctx = HarnessContext(uid, subtask, parallelism, self.clock, self._keyed, event_time=event_time)
        self._operator = operator.create_operator() if isinstance(operator, OperatorFactory) else operator
        if self._operator.keyed_timers:
            self._ctx.timers.keep_in(self._keyed)
        self._operator.open(self._ctx)
        self._restore([restore] if isinstance(restore, OperatorSnapshot) else restore)

    def process(
        self,
        values: Sequence[Any],
        timestamps: Sequence[int] | None = None,
        origins: Sequence[Origin] | None = None,
        *,
        input_index: int = 0,
    ) -> list[Any]:
        """Process one batch of an input and return the values that come out."""
        return list(self.process_batch(Batch(values, timestamps, origins), input_index).values)

    def process_batch(self, batch: Batch[Any], input_index: int = 0) -> Batch[Any]:
        """Process one batch of an input and return what comes out, with timestamps and origins.

        Timers of wall time that are due by the clock are called first, as in a job.
        """
        due = self._fire_by_clock()
        out = self._operator.process_batch(batch, input_index)
        return Batch.concat([*due, out]) if due else out

    def watermark(self, timestamp: int) -> list[Any]:
        """Move event time to `timestamp` (milliseconds UTC) and return what fires."""
        fired = self._ctx.timers.event.fire(timestamp, self._operator.process_timers)
        return [*_values(*fired), *_values(self._operator.process_watermark(timestamp))]

    def fire_timers(self) -> list[Any]:
        """Call the timers of wall time that are due by the clock, and return what fires."""
        return _values(*self._fire_by_clock())

    @property
    def next_timer(self) -> int | None:
        """The wall time (milliseconds UTC) of the next timer; None where there is none."""
        return self._ctx.timers.wall.next

    def end_input(self, input_index: int) -> list[Any]:
        """End one of several inputs and return what that lets out."""
        return _values(self._operator.end_input(input_index))

    def finish(self) -> list[Any]:
        """End the input and return what was held back."""
        fired = self._ctx.timers.finish(self._operator.process_timers)
        return [*_values(*fired), *_values(self._operator.finish())]

    def snapshot(self) -> OperatorSnapshot:
        """Take the state as a barrier would."""
        keyed = io.BytesIO()
        self._keyed.snapshot().write(keyed)
        return OperatorSnapshot(keyed.getvalue(), to_json(self._operator.snapshot_state()))

    def side_output(self, tag: SideTag = DEAD_LETTERS) -> list[Any]:
        """Return what was sent to a side output so far."""
        return list(self._ctx.sides.get(tag, ()))

    @property
    def failed(self) -> int:
        """Records counted as failed so far."""
        return self._ctx.counters[FAILED]

    @property
    def late(self) -> int:
        """Records counted as late so far."""
        return self._ctx.counters[LATE]

    @property
    def pauses(self) -> list[timedelta]:
        """The pauses asked for before calls were repeated."""
        return list(self._ctx.pauses)

    @property
    def keyed_state(self) -> KeyedStateBackend:
        """The operator's keyed state, to look into."""
        return self._keyed

    def close(self) -> None:
        """Close the operator and its state."""
        try:
            self._operator.close()
        finally:
            self._keyed.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _fire_by_clock(self) -> list[Batch[Any]]:
        return self._ctx.timers.wall.fire(self.clock.now_ms(), self._operator.process_timers)

    def _restore(self, snapshots: Sequence[OperatorSnapshot]) -> None:
        if not snapshots:
            return
        self._keyed.restore([io.BytesIO(snapshot.keyed) for snapshot in snapshots])
        self._ctx.timers.restored()
        own = snapshots[self._ctx.subtask : self._ctx.subtask + 1]
        if not own and self._operator.same_in_all_subtasks:
            own = snapshots[:1]
        for snapshot in own:
            if snapshot.operator is not None:
                self._operator.initialize_state(from_json(snapshot.operator))


def _values(*fired: Batch[Any] | None) -> list[Any]:
    return [value for batch in fired if batch is not None for value in batch.values]
