"""The contract of an operator that keeps state or looks at more than one record."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from pipeline.core.clock import Clock
from pipeline.core.elements import TimeElement
from pipeline.core.policy import SideTag
from pipeline.core.records import Batch, FailedRecord
from state.backend import Key, KeyedStateBackend

In = TypeVar("In")
Out = TypeVar("Out")


class DueTimers(NamedTuple):
    """Timers that are due at one instant under one name.

    Args:
        timestamp: the instant they were set for, milliseconds UTC.
        name: what they were set with.
        keys: whose timers they are; empty for a `call_at`.
        by_clock: whether they were set for wall time.
    """

    timestamp: int
    name: Any
    keys: Sequence[Key]
    by_clock: bool


class Timers(Protocol):
    """Calls an operator back, in event time or wall time: see `StreamOperator.process_timers`.

    A timer for an instant that has passed is due the next time that time moves on. When all inputs have
    ended, every timer that still waits is called, in order, once; those set meanwhile are not.
    """

    def register(self, key: Key, timestamp: int, name: str = "", /) -> None:
        """Set a timer of a key; one that the key has for this instant and name already is the same one.

        It is part of the keyed state: stored, restored and moved with its key. Only for an operator that
        says `keyed_timers = True`.
        """
        ...

    def delete(self, key: Key, timestamp: int, name: str = "", /) -> None:
        """Take a timer back, if it is set."""
        ...

    def call_at(self, timestamp: int, name: Any, /) -> None:
        """Set a timer of the operator itself. It is not stored: set it again in `initialize_state`.

        Args:
            timestamp: milliseconds UTC.
            name: tells it from others for the same instant; one operator's are of one type, hashable and
                in an order.
        """
        ...


class OperatorContext(Protocol):
    """What an operator gets from the engine when it is opened."""

    @property
    def job_name(self) -> str: ...

    @property
    def uid(self) -> str: ...

    @property
    def subtask(self) -> int: ...

    @property
    def parallelism(self) -> int: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def event_time(self) -> bool:
        """Whether records have timestamps and watermarks come; otherwise time is that of `clock`."""
        ...

    @property
    def keyed_state(self) -> KeyedStateBackend:
        """The state of this operator's keys; only downstream of a `key_by`."""
        ...

    @property
    def event_timers(self) -> Timers:
        """Timers in event time, due before the watermark that reaches them is forwarded."""
        ...

    @property
    def wall_timers(self) -> Timers:
        """Timers by `clock`; only for an operator whose spec `uses_clock`, or without event time."""
        ...

    def side_output(self, tag: SideTag, values: Sequence[Any]) -> None:
        """Send records to a side output, in the epoch of the batch being processed."""
        ...

    def count_failed(self, records: int, samples: Sequence[FailedRecord] = ()) -> None:
        """Add to the job's count of failed records, with some of them as a sample for its result."""
        ...

    def count(self, name: str, records: int) -> None:
        """Add to a counter of the job, such as `pipeline.core.counts.LATE`; an unknown name creates one."""
        ...

    def pause(self, delay: timedelta) -> None:
        """Wait before a call is repeated; raises when the job is being cancelled."""
        ...


class StreamOperator(ABC, Generic[In, Out]):
    """Turns batches into batches. All calls come from one thread at a time.

    The engine calls `open`, `initialize_state` if there is something to restore, then `process_batch`,
    `process_watermark` and `snapshot_state` in the order of the stream, `end_input` after the last record
    of one of several inputs, `finish` after that of all, `close`. Keyed state is stored and restored by the
    engine; what else an operator must remember goes through `snapshot_state`.

    An operator may have several inputs: records of each arrive in their own order, in no order among each
    other. Its watermark is that of the slowest input that is neither idle nor ended; its snapshot is taken
    once the barrier has arrived on all of them.
    """

    expands: bool = False
    """Whether one record in can become several out; decides how demand is passed on. Also True where a
    watermark, a timer or the end of an input lets records out."""

    same_in_all_subtasks: bool = False
    """Whether `snapshot_state` says the same in each subtask, so that one that is new may take any."""

    keyed_timers: bool = False
    """Whether it sets timers for keys, which are kept in its keyed state."""

    @property
    def open_windows(self) -> int:
        """How many windows hold records, for those who watch the job; any thread."""
        return 0

    def open(self, ctx: OperatorContext, /) -> None:
        """Get ready: register state, resolve what is needed per record."""

    def initialize_state(self, state: Any, /) -> None:
        """Continue from what `snapshot_state` returned; called after `open`."""

    @abstractmethod
    def process_batch(self, batch: Batch[In], input_index: int, /) -> Batch[Out]:
        """Turn the records of one batch into what goes downstream.

        Args:
            batch: records of one input, at least one.
            input_index: which input, from 0, in the order in which the operator was given them.
        """

    def process_watermark(self, timestamp: int, /) -> Batch[Out] | None:
        """Event time has reached `timestamp` (milliseconds UTC); return what that lets out.

        Timers that are due by then have been called, and what is returned goes before the watermark.
        """
        return None

    def process_timers(self, due: DueTimers, /) -> Batch[Out] | None:
        """Return what timers let out; called in the order of their instants, each timer once.

        It is called in the subtask's own thread, between batches.
        """
        return None

    def end_input(self, input_index: int, /) -> Batch[Out] | None:
        """Return what the end of one input lets out; called once for each where there are several.

        An end that a checkpoint covers is not reported again after a restore.
        """
        return None

    def finish(self) -> Batch[Out] | None:
        """All inputs have ended; return what was held back."""
        return None

    def snapshot_state(self) -> Any:
        """Return what the state encoding can store, beside the keyed state; None for nothing."""
        return None

    def close(self) -> None:
        """Release what `open` acquired; called exactly once per `open`, whatever failed."""


class TimeOperator(StreamOperator[Any, Any]):
    """An operator whose output restarts event time: watermarks from upstream end here.

    Its records pass; it may drop some. It sets no timers of event time.
    """

    @abstractmethod
    def process_timed(self, batch: Batch[Any], /) -> Iterator[Batch[Any] | TimeElement]:
        """Yield the records with their times, and after each piece how far event time has come."""

    def take_time(self) -> Sequence[TimeElement]:
        """Return what a timer has found out about event time, once."""
        return ()

    def process_batch(self, batch: Batch[Any], input_index: int, /) -> Batch[Any]:
        """Return the records with their times, without the watermarks between them."""
        return Batch.concat([each for each in self.process_timed(batch) if isinstance(each, Batch)])
