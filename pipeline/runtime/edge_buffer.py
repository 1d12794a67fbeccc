"""A buffer with a strategy between two vertices: what a full one does, and what a checkpoint keeps of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from checkpoint.barrier import Barrier, CheckpointKind
from pipeline.core.config import BackpressureStrategy
from pipeline.core.errors import BackpressureOverflow, PipelineError
from pipeline.core.functions import function_ref
from pipeline.core.raised import user_error
from pipeline.core.records import Batch
from pipeline.graph.buffers import Buffer
from pipeline.reactive.demand import MAX_BATCH, UNBOUNDED, Prefetch
from pipeline.reactive.rate import Rate
from pipeline.reactive.subscriber import Subscription
from pipeline.runtime.buffer_codec import BufferCodec
from pipeline.runtime.buffer_queue import BufferQueue, Element
from pipeline.runtime.snapshot import EncodedState, OperatorSnapshot
from state.backend import Readable

ACTIVE_FOR_S: Final = 1.0
"""Seconds for which a drop counts as backpressure: shorter gaps are part of the same congestion."""


class EdgeBuffer:
    """Accepts what the upstream thread emits, by its strategy, until the consumer takes it.

    Barriers overtake what it holds, which then is part of the snapshot: so a checkpoint does not
    wait for a slow consumer to work it off. The last barrier of a job does not overtake, as nobody
    would work off what it had overtaken.

    Args:
        condition: the consumer's; guards the queue, notified when something arrives.
        buffer: the strategy and its bound.
        lane: its number among the queues of its edge, by which a checkpoint finds it again.
        stored: whether checkpoints are taken, so that records must be such as can be stored.
        now: a clock in seconds that never goes back.
    """

    def __init__(
        self,
        condition: threading.Condition,
        buffer: Buffer,
        lane: int,
        *,
        stored: bool,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.buffer = buffer
        self.lane = lane
        self._condition = condition
        self._drops = Drops(now)
        self._queue = BufferQueue()
        self._codec = BufferCodec(buffer.uid, buffer.value_type)
        self._untried = stored
        self._requests = Requests(now)
        self._ended = False

    # --- the job's thread -----------------------------------------------------------------------

    @property
    def uid(self) -> str:
        return self.buffer.uid

    def __repr__(self) -> str:
        return f"<EdgeBuffer {self.uid}/{self.lane}: {self.buffered} records, {self.dropped} dropped>"

    def restore(self, part: Readable | None, dropped: int) -> None:
        """Go back to a snapshot; called before `open`."""
        self._drops.count = dropped
        for element in [] if part is None else self._codec.decode(part.read()):
            if isinstance(element, Batch):
                self._queue.append(cast("Batch[Any]", element))
            else:
                self._queue.append_control(element)

    def open(self) -> None:
        """Ask for the first records, less those that were restored."""
        if self.buffer.asks_without_limit:
            self._requests.ask_for_everything()
        else:
            self._requests.first(self.capacity, self._queue.records)

    # --- the upstream thread -----------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        self._requests.subscription = subscription

    def on_next_batch(self, values: Any) -> None:
        if self._untried:
            self._untried = False
            self._codec.check(values.values[0])
        with self._condition:
            dropped = self._ADMIT[self.buffer.strategy](self, values)
            count = sum(map(len, dropped))
            self._drops.add(count)
            self._condition.notify_all()
        if count and self.buffer.on_drop is not None:
            self._tell(self.buffer.on_drop, dropped)

    def on_control(self, element: object) -> None:
        with self._condition:
            if isinstance(element, Barrier) and element.kind is not CheckpointKind.FINAL:
                self._queue.cut(element, self._drops.count)
            else:
                self._queue.append_control(element)
            self._condition.notify_all()

    def on_error(self, error: Exception) -> None:
        """The failed side reports its error to the owner of both; here the stream just ends."""
        self.on_completed()

    def on_completed(self) -> None:
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    # --- strategies: what becomes of a batch; returns what is dropped --------------------------------

    def _keep(self, batch: Batch[Any]) -> Sequence[Batch[Any]]:
        self._queue.append(batch)
        return ()

    def _keep_what_fits(self, batch: Batch[Any]) -> Sequence[Batch[Any]]:
        room = max(0, self.capacity - self._queue.records)
        if room:
            self._queue.append(batch[:room])
        return (batch[room:],)

    def _keep_the_newest(self, batch: Batch[Any]) -> Sequence[Batch[Any]]:
        replaced = self._queue.discard_records()
        self._queue.append(batch[-1:])
        return (*replaced, batch[:-1])

    def _keep_or_fail(self, batch: Batch[Any]) -> Sequence[Batch[Any]]:
        held = self._queue.records
        if held + len(batch) > self.capacity:
            raise BackpressureOverflow(
                f"backpressure ERROR: {held:,} records are waiting in a buffer of {self.capacity:,} "
                f"and {len(batch):,} more arrived",
                hint="the job restarts from its last checkpoint; make downstream faster, "
                "raise buffer_size, or use BUFFER",
            ).located(operator=self.uid)
        return self._keep(batch)

    _ADMIT: Final[dict[BackpressureStrategy, Callable[[EdgeBuffer, Batch[Any]], Sequence[Batch[Any]]]]] = {
        BackpressureStrategy.BUFFER: _keep,
        BackpressureStrategy.DROP: _keep_what_fits,
        BackpressureStrategy.LATEST: _keep_the_newest,
        BackpressureStrategy.ERROR: _keep_or_fail,
    }

    def _tell(self, on_drop: Callable[[Any], object], dropped: Sequence[Batch[Any]]) -> None:
        try:
            for batch in dropped:
                for value in batch.values:
                    on_drop(value)
        except PipelineError:
            raise
        except Exception as error:
            ref = function_ref(on_drop)
            raise user_error(ref.name, error).located(operator=self.uid, function=str(ref)) from error

    # --- any thread --------------------------------------------------------------------------

    @property
    def dropped(self) -> int:
        """Records it has dropped, over all attempts of the execution."""
        return self._drops.count

    @property
    def buffered(self) -> int:
        """Records in the queue."""
        return self._queue.records

    @property
    def capacity(self) -> int:
        """Records the queue may hold; `UNBOUNDED` without a bound."""
        return UNBOUNDED if self.buffer.size is None else self.buffer.size

    @property
    def active(self) -> bool:
        """Whether what is before it is held back, or loses records, now."""
        is_full = self.buffered >= self.capacity and self.buffer.strategy is not BackpressureStrategy.LATEST
        return is_full or self._drops.lately

    @property
    def request_rate(self) -> float | None:
        """Records a second that it asks for; None where it asks without limit."""
        return None if self.buffer.asks_without_limit else self._requests.rate

    # --- the consumer's thread, holding the condition --------------------------------------------

    @property
    def has_records(self) -> bool:
        """Whether records come next."""
        return self._queue.has_records

    @property
    def has_control(self) -> bool:
        """Whether a control element comes next: a barrier, whatever it has overtaken, does."""
        return self._queue.has_control

    @property
    def ended(self) -> bool:
        """Whether nothing is left and nothing will come."""
        return self._ended and self._queue.is_empty

    def take_control(self) -> object:
        """Take the control element that comes next."""
        return self._queue.take_control()

    def take_records(self, limit: int) -> Any:
        """Take at most `limit` records; none if a barrier has come since it was looked at."""
        return self._queue.take(min(limit, MAX_BATCH))

    def forget(self, checkpoint_id: int) -> None:
        """A checkpoint has ended, completed or not."""
        self._queue.forget(checkpoint_id)

    # --- the consumer's thread, not holding it ---------------------------------------------------

    def consumed(self, values: Batch[Any]) -> None:
        """Say that the records last taken are dealt with; asks for more when it is time."""
        if not self.buffer.asks_without_limit:
            self._requests.consumed(len(values), self.capacity)

    def snapshot(self, barrier: Barrier) -> OperatorSnapshot:
        """Encode what the barrier has overtaken; called once it is aligned."""
        with self._condition:
            overtaken = self._queue.overtaken_by(barrier)
            self._queue.forget(barrier.checkpoint_id)
            elements: Sequence[Element] = ()
            dropped = self._drops.count
            if overtaken is not None:
                elements, dropped = overtaken
        part = EncodedState(self._codec.encode(elements)) if elements else None
        return OperatorSnapshot(self.uid, self.lane, part, {"dropped": dropped})


class Drops:
    """Counts dropped records, and remembers when the last one was dropped."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.count = 0
        self._now = now
        self._last = -ACTIVE_FOR_S

    def add(self, records: int) -> None:
        """Count records that have been dropped just now."""
        if records:
            self.count += records
            self._last = self._now()

    @property
    def lately(self) -> bool:
        """Whether records have been dropped in the last `ACTIVE_FOR_S`."""
        return self._now() - self._last < ACTIVE_FOR_S


class Requests:
    """Asks upstream for what there is room for, by the 75 % rule.

    Attributes:
        subscription: set once the upstream is connected.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.subscription: Subscription | None = None
        self._prefetch = Prefetch()
        self._asked = Rate(now)

    @property
    def rate(self) -> float:
        """Records a second that have been asked for, lately."""
        return self._asked.value

    def ask_for_everything(self) -> None:
        """Ask without limit, once."""
        assert self.subscription is not None
        self.subscription.request(UNBOUNDED)

    def first(self, capacity: int, held: int) -> None:
        """Ask for as many records as fit beside those that are held already."""
        self._prefetch.first(max(capacity, held))
        if capacity > held:
            self._ask(capacity - held)

    def consumed(self, records: int, capacity: int) -> None:
        """Take note of consumed records and ask for more when it is time."""
        more = self._prefetch.consumed(records, capacity)
        if more:
            self._ask(more)

    def _ask(self, n: int) -> None:
        assert self.subscription is not None
        self._asked.add(n)
        self.subscription.request(n)
