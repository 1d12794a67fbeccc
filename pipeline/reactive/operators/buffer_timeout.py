"""Gather records into lists, by number or by time, never more than downstream has room for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import hooks
from pipeline.reactive.emission import Emission
from pipeline.reactive.flux import Flux
from pipeline.reactive.inbox import validate_prefetch
from pipeline.reactive.operators.base import flux_of
from pipeline.reactive.subscriber import Records, Subscriber, Subscription, refuse_null

T = TypeVar("T")

LISTS_AHEAD: Final = 4
"""For how many lists records are asked for at most, as in Reactor."""


def buffer_timeout(
    max_size: int, timespan: timedelta, scheduler: abc.SchedulerBase
) -> Callable[[Observable[T]], Flux[list[T]]]:
    """Collect lists of up to `max_size` records, each emitted within `timespan` of its first record.

    Fair to its source: it asks for as many records as fit into the lists that are wanted. A list whose
    time is up while none is requested waits, and continues to grow up to `max_size`. An error is emitted at
    once, and the records that wait are discarded.

    Args:
        max_size: records.
        timespan: from the first record of a list.
        scheduler: keeps the time; what it refuses to run ends the stream with its error.

    Example:
        >>> flux.pipe(buffer_timeout(100, timedelta(seconds=1), scheduler))  # doctest: +SKIP
    """
    validate_prefetch("max_size", max_size)
    if timespan <= timedelta():
        raise ValueError(f"timespan must be longer than 0, not {timespan}")

    def buffered(source: Observable[T]) -> Flux[list[T]]:
        upstream = flux_of("buffer_timeout", source)

        def connect(subscriber: Subscriber[list[T]]) -> None:
            operator = _BufferTimeout(subscriber, max_size, timespan, scheduler)
            subscriber.on_subscribe(operator)
            upstream.connect(operator)

        return Flux(connect)

    return buffered


class _BufferTimeout(Emission[list[T]], Generic[T]):
    """To upstream the subscriber, to downstream the subscription."""

    def __init__(
        self,
        downstream: Subscriber[list[T]],
        max_size: int,
        timespan: timedelta,
        scheduler: abc.SchedulerBase,
    ) -> None:
        super().__init__(downstream)
        self._max_size = max_size
        self._timespan = timespan
        self._scheduler = scheduler
        self._upstream: Subscription | None = None
        self._waiting: deque[T] = deque()
        self._asked = 0
        self._received = 0
        self._timer: _Timer | None = None
        self._ended = False
        self._error: Exception | None = None

    # --- to upstream: a subscriber ----------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        refuse_null(subscription, "on_subscribe")
        if self._upstream is not None:  # rule 2.5
            subscription.cancel()
            return
        self._upstream = subscription
        if self.done:
            subscription.cancel()
        else:
            self._drain()

    def on_next(self, value: T, /) -> None:
        refuse_null(value, "on_next")
        self.on_next_batch([value])

    def on_next_batch(self, values: Records[T]) -> None:
        if self.done or self._ended:
            for value in values:
                hooks.dropped(value)
            return
        self._received += len(values)
        if self._received > self._asked:
            hooks.discarded(*values)
            self._cancelled()
            self.on_error(BackpressureOverflow("rule 1.1: an upstream sent more than it was asked for"))
            return
        self._waiting.extend(values)
        self._drain()

    def on_control(self, element: object) -> None:
        """A control element would have to wait for a list that is not full."""

    def on_error(self, error: Exception) -> None:
        refuse_null(error, "on_error")
        if self.done or self._ended:
            hooks.dropped_error(error)
            return
        self._error = error
        self.on_completed()

    def on_completed(self) -> None:
        self._ended = True
        self._drain()

    # --- to downstream: turns ---------------------------------------------------------------------

    def _emit(self, downstream: Subscriber[list[T]]) -> None:
        while self._error is None and self._demand.left > 0 and self._is_ready:
            self._stop_timer()
            values = [self._waiting.popleft() for _ in range(min(self._max_size, len(self._waiting)))]
            self._demand.produced()
            downstream.on_next(values)
            if self.done:
                return
        if self._error is not None:
            self._fail(self._error)
            return
        if self._ended and not self._waiting:
            self._end_with(None)
            return
        if self._waiting and self._timer is None:
            self._start_timer()
        if not self.done:
            self._ask_for_more()

    @property
    def _is_ready(self) -> bool:
        waiting = len(self._waiting)
        return waiting >= self._max_size or (waiting > 0 and (self._is_due or self._ended))

    @property
    def _is_due(self) -> bool:
        """Whether the time of what waits is up."""
        return self._timer is not None and self._timer.elapsed

    def _ask_for_more(self) -> None:
        """Ask for what fits into the lists that are wanted, or the next few of them.

        Never everything: a source that emits at once what is requested does so within this turn.
        """
        room = min(self._demand.left, LISTS_AHEAD) * self._max_size
        coming = self._asked - self._received
        more = room - len(self._waiting) - coming
        if more > 0 and self._upstream is not None:
            self._asked += more
            self._upstream.request(more)

    def _start_timer(self) -> None:
        timer = self._timer = _Timer()

        def elapsed(_scheduler: Any, _state: Any = None) -> None:
            timer.elapsed = True  # irrelevant if a list has been emitted meanwhile
            self._drain()

        try:
            timer.disposable = self._scheduler.schedule_relative(self._timespan, elapsed)
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self._fail(error)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.dispose()

    def _cancelled(self) -> None:
        if self._upstream is not None and not self._ended:  # rule 2.3
            self._upstream.cancel()

    def _clear(self) -> None:
        self._stop_timer()
        hooks.discarded(*self._waiting)
        self._waiting.clear()


class _Timer(SingleAssignmentDisposable):
    elapsed = False
