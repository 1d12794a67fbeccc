"""The timers of an operator: when it is called back, in event time and by the clock, each instant once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, Final

from pipeline.core.errors import InternalError
from pipeline.core.records import Batch
from pipeline.spi.operator import DueTimers
from state.backend import Key, KeyedStateBackend, WindowTable
from state.descriptors import WindowStateDescriptor

NEVER: Final = 2**63 - 1
"""Later than any timestamp."""

CHUNK: Final = 2048
"""Keys whose timers are called together at most, as many as records travel together."""

_STALE: Final = 1024
"""Deleted instants that a queue may keep before it looks whether they are most of it."""

EVENT_STATE: Final = "timers of event time"
WALL_STATE: Final = "timers of wall time"
TIMER_STATES: Final = (EVENT_STATE, WALL_STATE)
"""The names under which keyed timers are stored, beside the operator's own states."""

Slot = tuple[int, Any]
"""An instant in milliseconds UTC and a name: what is called back as one."""

Process = Callable[[DueTimers], "Batch[Any] | None"]


class TimerQueue:
    """The timers of one operator in one time; implements `pipeline.spi.operator.Timers`.

    Timers of keys are state, divided by key group: kept in a window table with a slot in the place of a
    window. The rest follows from other state, and the operator sets it again when it is restored.

    Args:
        by_clock: whether the time is that of the clock.
    """

    def __init__(self, *, by_clock: bool) -> None:
        self._by_clock = by_clock
        self._table: WindowTable[bool] | None = None
        self._queue: list[Slot] = []
        self._queued: set[Slot] = set()
        self._calls: set[Slot] = set()
        self._postponed: list[Slot] = []
        self._firing: int | None = None
        self._ending = False
        self._stale = 0

    # --- what the operator sets ------------------------------------------------------------------

    def register(self, key: Key, timestamp: int, name: str = "") -> None:
        if not self._ending:
            slot = timestamp, name
            self._keyed.put(slot, key, True)
            self._enqueue(slot)

    def delete(self, key: Key, timestamp: int, name: str = "") -> None:
        slot, table = (timestamp, name), self._keyed
        if slot in table:
            table.remove(slot, key)
            if slot not in table:
                self._forget_stale()

    def call_at(self, timestamp: int, name: Any) -> None:
        slot = timestamp, name
        if slot not in self._calls:
            self._calls.add(slot)
            self._enqueue(slot)

    # --- what the engine does -----------------------------------------------------------------------

    def keep_in(self, table: WindowTable[bool]) -> None:
        """Keep the timers of keys in a table."""
        self._table = table

    def restored(self) -> None:
        """Read the timers that the table was restored with."""
        if self._table is not None:
            for timestamp, name in self._table.windows():
                self._enqueue((timestamp, name))

    @property
    def next(self) -> int | None:
        """The earliest instant at which `fire` may have something to do; None for never."""
        return self._queue[0][0] if self._queue else None

    def fire(self, until: int, process: Process) -> list[Batch[Any]]:
        """Call what is due up to and including `until`, in the order of instants and names.

        What is set meanwhile is called too if it is due, but not for an instant that has been called:
        that is called with the next `fire`, so that a timer which sets itself cannot keep the time from
        moving on.
        """
        fired: list[Batch[Any]] = []
        try:
            while self._queue and self._queue[0][0] <= until:
                slot = heappop(self._queue)
                self._queued.discard(slot)
                self._firing = slot[0]
                for due in self._due(slot):
                    out = process(due)
                    if out is not None and len(out):
                        fired.append(out)
        finally:
            self._firing, postponed, self._postponed = None, self._postponed, []
            for slot in postponed:
                heappush(self._queue, slot)
        return fired

    def finish(self, process: Process) -> list[Batch[Any]]:
        """Call all that waits, since no input is left; a timer that a key sets now is not called."""
        self._ending = True
        return self.fire(NEVER, process)

    # --- slots ---------------------------------------------------------------------------------------

    @property
    def _keyed(self) -> WindowTable[bool]:
        if self._table is None:
            raise InternalError("an operator that sets timers for keys must say so: keyed_timers = True")
        return self._table

    def _enqueue(self, slot: Slot) -> None:
        if slot in self._queued:
            return
        self._queued.add(slot)
        if self._firing is not None and slot[0] <= self._firing:
            self._postponed.append(slot)
        else:
            heappush(self._queue, slot)

    def _due(self, slot: Slot) -> Iterator[DueTimers]:
        """Yield what is called for a slot; it is gone by then, so that it can be set again."""
        timestamp, name = slot
        if slot in self._calls:
            self._calls.discard(slot)
            yield DueTimers(timestamp, name, (), self._by_clock)
        if self._table is not None and slot in self._table:
            keys: Sequence[Key] = self._table.columns(slot)[0]
            self._table.drop(slot)
            for start in range(0, len(keys), CHUNK):
                yield DueTimers(timestamp, name, keys[start : start + CHUNK], self._by_clock)

    def _forget_stale(self) -> None:
        """Drop deleted instants from the queue once they are most of it."""
        self._stale += 1
        if self._stale > _STALE and 2 * self._stale > len(self._queue):
            self._stale = 0
            self._queue = [slot for slot in self._queue if slot in self._calls or slot in self._keyed]
            self._queued = {*self._queue, *self._postponed}
            heapify(self._queue)


class OperatorTimers:
    """The timers of one operator in either time."""

    def __init__(self) -> None:
        self.event = TimerQueue(by_clock=False)
        self.wall = TimerQueue(by_clock=True)

    def keep_in(self, backend: KeyedStateBackend) -> None:
        """Keep the timers of keys in the operator's keyed state."""
        for queue, name in ((self.event, EVENT_STATE), (self.wall, WALL_STATE)):
            queue.keep_in(backend.window_table(WindowStateDescriptor(name=name)))

    def restored(self) -> None:
        """Read the timers that the state was restored with."""
        self.event.restored()
        self.wall.restored()

    def finish(self, process: Process) -> list[Batch[Any]]:
        """Call all that waits once no input is left, what waits for event time first."""
        return [*self.event.finish(process), *self.wall.finish(process)]
