"""What waits for one subscriber: records beyond its demand, then the end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

from pipeline.reactive import hooks
from pipeline.reactive.demand import MAX_BATCH, UNBOUNDED
from pipeline.reactive.emission import Emission
from pipeline.reactive.subscriber import Records, Subscriber

T = TypeVar("T")


def _nothing(*_: Any) -> None:
    """The default callback: does nothing."""


class Outbox(Emission[T]):
    """A queue with demand. Any thread puts in; the thread that runs the drain loop emits.

    How much may wait is decided where it is put in, by an `Intake`: the queue itself is not bounded.
    Records that arrived together are emitted together, as far as they are requested.

    Args:
        downstream: whom it serves.
        on_cancel: called when the subscriber wants no more before the end.
        on_end: called once the subscriber has had its end.
        on_request: called with each valid request, after it has been served from what waits.
        keeps_demand: False hands everything on at once, wanted or not.
    """

    def __init__(
        self,
        downstream: Subscriber[T],
        *,
        on_cancel: Callable[[], object] = _nothing,
        on_end: Callable[[], object] = _nothing,
        on_request: Callable[[int], object] = _nothing,
        keeps_demand: bool = True,
    ) -> None:
        super().__init__(downstream)
        self._on_cancel = on_cancel
        self._on_end = on_end
        self._on_request = on_request
        self._keeps_demand = keeps_demand
        self._lock = threading.Lock()  # of the four below
        self._waiting: deque[T | _Control] = deque()
        self._records = 0
        self._together = False
        self._failure: Exception | None = None
        self._ended = False
        self._aborted = False

    # --- the subscriber's side ----------------------------------------------------------------------

    def begin(self) -> None:
        """Hand the subscriber its subscription."""
        self._downstream.on_subscribe(self)

    def request(self, n: int) -> None:
        super().request(n)
        if n > 0 and not self.done:
            self._on_request(n)

    @property
    def requested(self) -> int:
        """Records that the subscriber wants and has not been handed."""
        return self._demand.left

    @property
    def emitted(self) -> int:
        """Records that it has been handed of those it wanted."""
        return self._demand.emitted

    # --- the other side: any thread -----------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Records that wait."""
        return self._records

    @property
    def ended(self) -> bool:
        """Whether the end has arrived, perhaps after waiting records."""
        return self._ended

    @property
    def closed(self) -> bool:
        """Whether nothing more may come: the end is there, or the subscriber has gone."""
        return self._ended or self.done

    def put(self, value: T) -> None:
        """Take a record in."""
        with self._lock:
            self._append(value)
        self._drain()

    def offer(self, value: T, size: int | None = None) -> bool:
        """Take a record in if fewer than `size` wait; without `size`, if it is wanted now."""
        with self._lock:
            room = self._room(size)
            if room > 0:
                self._append(value)
        if room > 0:
            self._drain()
        return room > 0

    def offer_all(self, values: Records[T], size: int | None = None) -> int:
        """Accept as many of the first of `values` as there is room for, see `offer`; return how many."""
        taken = 0
        while taken < len(values) and not self.done:
            with self._lock:
                room = self._room(size)
                if room <= 0:
                    break
                part = values[taken : taken + room]
                self._waiting.extend(part)
                self._records += len(part)
                self._together = True
            taken += len(part)
            self._drain()
        return taken

    def push_out(self, value: T, size: int | None = None) -> list[T]:
        """Queue a record and return the oldest, which it replaces, if `size` wait already.

        Without `size` one may wait beyond demand, and replaces the one before.
        """
        evicted: list[T] = []
        with self._lock:
            if size is None and self._records > self._left:
                evicted.append(self._remove(len(self._waiting) - 1, -1))
            elif size is not None and self._records >= size:
                evicted.append(self._remove(0, 1))
            self._append(value)
        self._drain()
        return evicted

    def control(self, element: object) -> None:
        """Queue a control element: it waits for the records before it, not for demand."""
        with self._lock:
            self._waiting.append(_Control(element))
        self._drain()

    def end(self, error: Exception | None = None) -> None:
        """End the stream, after the waiting records."""
        self._failure = error
        self._ended = True
        self._drain()

    def abort(self, error: Exception) -> None:
        """End the stream with `error` and give up what waits."""
        self._aborted = True
        self.end(error)

    # --- in a turn ------------------------------------------------------------------------------------

    def _emit(self, downstream: Subscriber[T]) -> None:
        while not self.done:
            ended = self._ended  # looked at first: what was put in before the end is seen below
            item = None if self._aborted else self._take()
            if item is None:
                if ended and (self._aborted or not self._waiting):
                    self._finish()
                return
            if isinstance(item, _Control):
                downstream.on_control(item.element)
            elif isinstance(item, _Together):
                downstream.on_next_batch(cast("list[T]", item))
                self._handed_on(len(item))
            else:
                downstream.on_next(item)
                self._handed_on(1)

    def _handed_on(self, records: int) -> None:
        """Take note of records that the subscriber has been handed."""

    def _finish(self) -> None:
        downstream = self._end()
        if self._failure is None:
            downstream.on_completed()
        else:
            downstream.on_error(self._failure)
        self._on_end()

    def _take(self) -> T | _Control | _Together | None:
        """Take out what goes next; None if nothing does now."""
        with self._lock:
            if not self._waiting:
                return None
            if isinstance(self._waiting[0], _Control):
                return self._waiting.popleft()
            left = self._left
            if left <= 0:
                return None
            if self._together:
                return self._take_together(min(left, MAX_BATCH))
            self._count_out(1)
            return self._waiting.popleft()

    def _take_together(self, most: int) -> _Together:
        batch = _Together()
        while self._waiting and len(batch) < most and not isinstance(self._waiting[0], _Control):
            batch.append(self._waiting.popleft())
        self._count_out(len(batch))
        return batch

    def _clear(self) -> None:
        with self._lock:
            given_up = [item for item in self._waiting if not isinstance(item, _Control)]
            self._waiting.clear()
            self._records = 0
        self._given_up(given_up)

    def _given_up(self, values: list[T]) -> None:
        hooks.discarded(*values)

    def _cancelled(self) -> None:
        self._on_cancel()

    # --- holding the lock -------------------------------------------------------------------------------

    @property
    def _left(self) -> int:
        return self._demand.left if self._keeps_demand else UNBOUNDED

    def _room(self, size: int | None) -> int:
        return (self._left if size is None else size) - self._records

    def _append(self, value: T) -> None:
        self._waiting.append(value)
        self._records += 1

    def _count_out(self, records: int) -> None:
        self._records -= records
        self._demand.produced(min(records, max(self._demand.left, 0)))

    def _remove(self, index: int, step: int) -> T:
        """Take out the first record found from `index` on, in steps; control elements stay."""
        while isinstance(value := self._waiting[index], _Control):
            index += step
        del self._waiting[index]
        self._records -= 1
        return value


class _Together(list[Any]):
    """Records that are emitted in one call."""


class _Control:
    __slots__ = ("element",)

    def __init__(self, element: object) -> None:
        self.element = element
