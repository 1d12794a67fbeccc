"""A sink for one subscriber, which may come later."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from pipeline.core.errors import Fault, PipelineError
from pipeline.reactive import hooks
from pipeline.reactive.demand import MAX_BATCH
from pipeline.reactive.emission import Emission
from pipeline.reactive.sinks.emit import EmitResult
from pipeline.reactive.sinks.sink import Sink
from pipeline.reactive.subscriber import Subscriber, Subscription

T = TypeVar("T")


class AlreadySubscribed(PipelineError):
    """A stream for one subscriber has had it."""

    fault = Fault.USER


class UnicastSink(Sink[T]):
    """Keeps what is emitted until its one subscriber asks for it.

    Args:
        buffer_size: records that may wait, None for any number. With 0 nothing waits: a record that is
            not wanted overflows, and so does any before there is a subscriber.
        on_end: called once when the stream has been completed, has failed or is cancelled.
    """

    def __init__(self, buffer_size: int | None = None, on_end: Callable[[], object] | None = None) -> None:
        super().__init__()
        if buffer_size is not None and buffer_size < 0:
            raise ValueError(f"buffer_size must be at least 0, not {buffer_size}")
        self._buffer_size = buffer_size
        self._queue: deque[T] = deque()
        self._guard = threading.Lock()
        self._has_had_subscriber = False
        self._outlet: _Outlet[T] | None = None
        self._on_end = on_end

    @property
    def subscribers(self) -> int:
        return 0 if self._outlet is None or self._outlet.done else 1

    @property
    def buffered(self) -> int:
        """Records that wait."""
        return len(self._queue)

    def _serve(self, subscriber: Subscriber[T]) -> None:
        outlet = _Outlet(subscriber, self._queue, lambda: self._ending, self._run_on_end)
        with self._guard:
            refused, self._has_had_subscriber = self._has_had_subscriber, True
        if refused:
            subscriber.on_subscribe(_Nothing())
            subscriber.on_error(AlreadySubscribed("this sink allows one subscriber and has had it"))
        else:
            subscriber.on_subscribe(outlet)
            self._outlet = outlet  # not before: nothing may come before the subscription (1.9)
            outlet.wake()

    def _next(self, value: T) -> EmitResult:
        outlet = self._outlet
        if outlet is not None and outlet.done:
            return EmitResult.FAIL_CANCELLED
        room = self._buffer_size
        if room is not None and len(self._queue) >= max(room, 0 if outlet is None else outlet.wanted):
            if outlet is None and room == 0:
                return EmitResult.FAIL_ZERO_SUBSCRIBER
            return EmitResult.FAIL_OVERFLOW
        self._queue.append(value)
        if outlet is not None:
            outlet.wake()
        return EmitResult.OK

    def _end(self, error: Exception | None) -> EmitResult:
        outlet = self._outlet
        if outlet is not None and outlet.done:
            return EmitResult.FAIL_CANCELLED
        self._run_on_end()
        if outlet is not None:
            outlet.wake()
        return EmitResult.OK

    def _run_on_end(self) -> None:
        with self._guard:
            on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()


class _Outlet(Emission[T]):
    def __init__(
        self,
        downstream: Subscriber[T],
        queue: deque[T],
        ending: Callable[[], tuple[Exception | None] | None],
        on_cancel: Callable[[], None],
    ) -> None:
        super().__init__(downstream)
        self._queue = queue
        self._ending = ending
        self._on_cancel = on_cancel

    @property
    def wanted(self) -> int:
        """Records that are wanted and have not been emitted."""
        return self._demand.left

    def wake(self) -> None:
        """Emit what has arrived."""
        self._drain()

    def _emit(self, downstream: Subscriber[T]) -> None:
        ending = self._ending()  # read first: nothing comes into the queue after it
        queue, demand = self._queue, self._demand
        while not self.done and (several := min(len(queue), demand.left, MAX_BATCH)):
            demand.produced(several)
            if several == 1:
                downstream.on_next(queue.popleft())
            else:
                downstream.on_next_batch([queue.popleft() for _ in range(several)])
        if ending is not None and not queue and not self.done:
            self._end_with(*ending)

    def _cancelled(self) -> None:
        self._on_cancel()

    def _clear(self) -> None:
        while self._queue:
            hooks.discarded(self._queue.popleft())


class _Nothing(Subscription):
    """The subscription of one that is refused."""

    def request(self, n: int) -> None: ...
    def cancel(self) -> None: ...
