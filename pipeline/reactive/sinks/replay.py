"""A sink that tells each subscriber from the beginning, or from a little before now."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar, cast

from reactivex import abc

from pipeline.reactive.demand import MAX_BATCH
from pipeline.reactive.emission import Emission
from pipeline.reactive.sinks.emit import EmitResult
from pipeline.reactive.sinks.sink import Sink
from pipeline.reactive.subscriber import Subscriber

T = TypeVar("T")


class _Node(Generic[T]):
    """A record and a link to the next one; a reader that is here has received this record."""

    __slots__ = ("at", "following", "value")

    def __init__(self, value: T, at: datetime | None) -> None:
        self.value = value
        self.at = at
        self.following: _Node[T] | None = None


class ReplaySink(Sink[T]):
    """Keeps records for those who subscribe later; each reads on at its own pace.

    It never overflows. A subscriber that lags behind keeps alive what it has yet to read, even where
    the sink has forgotten it.

    Args:
        limit: the latest records that it keeps; None for all.
        age: how old they may be when somebody subscribes; needs a `scheduler`, whose clock says so.
    """

    def __init__(
        self,
        limit: int | None = None,
        age: timedelta | None = None,
        scheduler: abc.SchedulerBase | None = None,
    ) -> None:
        super().__init__()
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        if (age is None) != (scheduler is None):
            raise ValueError("age and scheduler go together: the one is measured by the other's clock")
        self._limit = limit
        self._age = age
        self._scheduler = scheduler
        self._guard = threading.Lock()
        self._before = self._last = _Node[T](cast("T", None), None)  # precedes the first one kept
        self._kept = 0
        self._readers: tuple[_Reader[T], ...] = ()  # replaced, never changed

    @property
    def subscribers(self) -> int:
        return len(self._readers)

    def _serve(self, subscriber: Subscriber[T]) -> None:
        with self._guard:
            self._forget()
            reader = _Reader(subscriber, self._before, lambda: self._ending, self._left)
        subscriber.on_subscribe(reader)
        with self._guard:  # not before: nothing may come before the subscription (1.9)
            self._readers = (*self._readers, reader)
        if reader.done:  # cancelled before it was there to be taken away
            self._left(reader)
        reader.wake()

    def _next(self, value: T) -> EmitResult:
        node = _Node(value, None if self._scheduler is None else self._scheduler.now)
        with self._guard:
            self._last.following = node
            self._last = node
            self._kept += 1
            self._forget()
        self._wake()
        return EmitResult.OK

    def _end(self, error: Exception | None) -> EmitResult:
        self._wake()
        return EmitResult.OK

    def _wake(self) -> None:
        for reader in self._readers:
            reader.wake()

    def _left(self, reader: _Reader[T]) -> None:
        with self._guard:
            self._readers = tuple(one for one in self._readers if one is not reader)

    def _forget(self) -> None:
        """Let go of what is too much or too old; holding the guard."""
        oldest_at = None
        if self._scheduler is not None and self._age is not None:
            oldest_at = self._scheduler.now - self._age
        while (first := self._before.following) is not None and (
            (self._limit is not None and self._kept > self._limit)
            or (oldest_at is not None and first.at is not None and first.at <= oldest_at)
        ):
            self._before = first
            self._kept -= 1


class _Reader(Emission[T]):
    def __init__(
        self,
        downstream: Subscriber[T],
        before: _Node[T],
        ending: Callable[[], tuple[Exception | None] | None],
        left: Callable[[_Reader[T]], None],
    ) -> None:
        super().__init__(downstream)
        self._before: _Node[T] | None = before  # the one read last
        self._ending = ending
        self._left = left

    def wake(self) -> None:
        """Read on."""
        self._drain()

    def _emit(self, downstream: Subscriber[T]) -> None:
        ending = self._ending()  # read first: nothing comes after it
        while not self.done and (values := self._read(min(self._demand.left, MAX_BATCH))):
            self._demand.produced(len(values))
            if len(values) == 1:
                downstream.on_next(values[0])
            else:
                downstream.on_next_batch(values)
        if ending is not None and not self.done and self._has_read_all:
            self._end_with(*ending)

    @property
    def _has_read_all(self) -> bool:
        return self._before is not None and self._before.following is None

    def _read(self, limit: int) -> list[T]:
        values: list[T] = []
        node = self._before
        while node is not None and len(values) < limit and (following := node.following) is not None:
            values.append(following.value)
            node = following
        self._before = node
        return values

    def _clear(self) -> None:
        if self._before is not None:
            self._before = None
            self._left(self)
