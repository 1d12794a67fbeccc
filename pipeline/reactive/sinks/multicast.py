"""Sinks whose records go to all who have subscribed."""

from __future__ import annotations

import threading
from collections import deque
from typing import TypeVar

from pipeline.reactive import hooks
from pipeline.reactive.demand import MAX_BATCH
from pipeline.reactive.drain import Drain
from pipeline.reactive.sinks.emit import EmitResult
from pipeline.reactive.sinks.outlet import Outlet
from pipeline.reactive.sinks.sink import Sink
from pipeline.reactive.subscriber import Subscriber

T = TypeVar("T")


class MulticastSink(Sink[T]):
    """Hands each record to every subscriber there is, and keeps none.

    A later subscriber receives what is emitted later, or the end if the stream has ended.
    """

    def __init__(self) -> None:
        super().__init__()
        self._guard = threading.Lock()
        self._outlets: tuple[Outlet[T], ...] = ()  # replaced, never changed: so it can be read at any time
        self._closed: tuple[Exception | None] | None = None

    @property
    def subscribers(self) -> int:
        return len(self._outlets)

    def _serve(self, subscriber: Subscriber[T]) -> None:
        outlet = Outlet(subscriber, self._changed)
        subscriber.on_subscribe(outlet)
        with self._guard:
            closed = self._closed
            if closed is None and not outlet.done:
                self._outlets = (*self._outlets, outlet)
        if closed is not None:
            outlet.close(*closed)
        if outlet.done:  # cancelled before it was there to be taken away
            self._changed(outlet)

    def _changed(self, outlet: Outlet[T]) -> None:
        """An outlet's subscriber asked for more, or is gone."""
        if outlet.done:
            with self._guard:
                self._outlets = tuple(one for one in self._outlets if one is not outlet)

    def _end(self, error: Exception | None) -> EmitResult:
        self._close(error)
        return EmitResult.OK

    def _close(self, error: Exception | None) -> None:
        with self._guard:
            self._closed = (error,)
            outlets, self._outlets = self._outlets, ()
        for outlet in outlets:
            outlet.close(error)


class AllOrNothingSink(MulticastSink[T]):
    """A record that one of the subscribers has no room for overflows, and nobody gets it."""

    def _next(self, value: T) -> EmitResult:
        outlets = self._outlets
        if not outlets:
            return EmitResult.FAIL_ZERO_SUBSCRIBER
        if min(outlet.free for outlet in outlets) <= 0:
            return EmitResult.FAIL_OVERFLOW
        for outlet in outlets:
            outlet.take((value,))
        return EmitResult.OK


class BestEffortSink(MulticastSink[T]):
    """A record goes to those who have room for it, the others miss it; it overflows if that is all."""

    def _next(self, value: T) -> EmitResult:
        outlets = self._outlets
        if not outlets:
            return EmitResult.FAIL_ZERO_SUBSCRIBER
        free = [outlet for outlet in outlets if outlet.free > 0]
        for outlet in free:
            outlet.take((value,))
        return EmitResult.OK if free else EmitResult.FAIL_OVERFLOW


class BufferedMulticastSink(MulticastSink[T]):
    """Keeps what the slowest subscriber has no room for, and before the first one what it will get.

    Args:
        buffer_size: records that may wait.
        auto_cancel: take nothing more once the last subscriber has cancelled.
    """

    def __init__(self, buffer_size: int, auto_cancel: bool) -> None:
        super().__init__()
        if buffer_size < 1:
            raise ValueError(f"buffer_size must be at least 1, not {buffer_size}")
        self._buffer_size = buffer_size
        self._auto_cancel = auto_cancel
        self._queue: deque[T] = deque()
        self._drain = Drain(self._turn)
        self._deserted = False

    @property
    def buffered(self) -> int:
        """Records that wait."""
        return len(self._queue)

    def _serve(self, subscriber: Subscriber[T]) -> None:
        super()._serve(subscriber)
        self._drain()

    def _next(self, value: T) -> EmitResult:
        if self._deserted:
            return EmitResult.FAIL_CANCELLED
        if len(self._queue) >= self._buffer_size:
            return EmitResult.FAIL_OVERFLOW if self._outlets else EmitResult.FAIL_ZERO_SUBSCRIBER
        self._queue.append(value)
        self._drain()
        return EmitResult.OK

    def _end(self, error: Exception | None) -> EmitResult:
        if self._deserted:
            return EmitResult.FAIL_CANCELLED
        self._drain()
        return EmitResult.OK

    def _changed(self, outlet: Outlet[T]) -> None:
        was_there = outlet in self._outlets
        super()._changed(outlet)
        if was_there and not self._outlets and self._auto_cancel and self._closed is None:
            self._deserted = True
        self._drain()

    def _turn(self) -> None:
        ending = self._ending  # read first: nothing comes into the queue after it
        queue = self._queue
        while queue and (outlets := self._outlets):
            several = min(len(queue), MAX_BATCH, *(outlet.free for outlet in outlets))
            if several <= 0:
                break
            values = [queue.popleft() for _ in range(several)]
            for outlet in outlets:
                outlet.take(values)
        if self._deserted:
            while queue:
                hooks.discarded(queue.popleft())
        elif ending is not None and not queue and self._closed is None:
            self._close(*ending)
