"""A buffer whose records grow too old: `on_backpressure_buffer` with a `ttl`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from reactivex import abc

from pipeline.reactive import hooks
from pipeline.reactive.intake import give_up
from pipeline.reactive.operators.absorbing import Absorbing
from pipeline.reactive.outbox import Outbox
from pipeline.reactive.subscriber import Records, Subscriber

T = TypeVar("T")


class Aging(Absorbing[T]):
    """Keeps records for a while only.

    Args:
        downstream: the subscriber.
        ttl: how long.
        size: the most records kept, the oldest is replaced; None for no limit.
        on_evict: called with each record given up, on a cancel too. What it raises is reported as a
            dropped error, and the stream continues.
        scheduler: tells the time.
    """

    def __init__(
        self,
        downstream: Subscriber[T],
        ttl: timedelta,
        size: int | None,
        on_evict: Callable[[Any], object],
        scheduler: abc.SchedulerBase,
    ) -> None:
        self._ttl = ttl
        self._on_evict = on_evict
        self._scheduler = scheduler
        super().__init__(downstream, _OldestGivesWay(size, self._evict))

    def _outbox_for(self, downstream: Subscriber[T]) -> Outbox[T]:
        return _AgingOutbox(downstream, self._cancel_upstream, self._ttl, self._evict, self._scheduler)

    def _evict(self, values: list[T]) -> None:
        for value in values:
            try:
                give_up(value, self._on_evict)
            except Exception as error:  # noqa: BLE001 - a failing listener does not fail the stream
                hooks.dropped_error(error)


class _OldestGivesWay:
    def __init__(self, size: int | None, evict: Callable[[list[Any]], None]) -> None:
        self._size = size
        self._evict = evict

    def take(self, outbox: Outbox[Any], value: Any) -> None:
        if self._size is None:
            outbox.put(value)
        else:
            self._evict(outbox.push_out(value, self._size))

    def take_all(self, outbox: Outbox[Any], values: Records[Any]) -> None:
        for value in values:
            self.take(outbox, value)


class _AgingOutbox(Outbox[T]):
    def __init__(
        self,
        downstream: Subscriber[T],
        on_cancel: Callable[[], object],
        ttl: timedelta,
        evict: Callable[[list[T]], None],
        scheduler: abc.SchedulerBase,
    ) -> None:
        super().__init__(downstream, on_cancel=on_cancel)
        self._ttl = ttl
        self._evict = evict
        self._scheduler = scheduler
        self._since: deque[Any] = deque()  # when each waiting record came, in their order
        self._timer: abc.DisposableBase | None = None

    def _append(self, value: T) -> None:
        super()._append(value)
        self._since.append(self._scheduler.now)

    def _remove(self, index: int, step: int) -> T:
        self._since.popleft()  # only the oldest is replaced
        return super()._remove(index, step)

    def _count_out(self, records: int) -> None:
        super()._count_out(records)
        self._since.popleft()  # they go one by one

    def _emit(self, downstream: Subscriber[T]) -> None:
        self._evict(self._take_expired())
        super()._emit(downstream)
        if self._since and self._timer is None and not self.done:
            self._timer = self._scheduler.schedule_absolute(self._since[0] + self._ttl, self._expire)

    def _expire(self, *_: Any) -> None:
        self._timer = None
        self._drain()

    def _take_expired(self) -> list[T]:
        expired: list[T] = []
        with self._lock:
            while self._since and self._since[0] + self._ttl <= self._scheduler.now:
                expired.append(self._remove(0, 1))
        return expired

    def _clear(self) -> None:
        if self._timer is not None:
            self._timer.dispose()
        self._since.clear()
        super()._clear()

    def _given_up(self, values: list[T]) -> None:
        self._evict(values)
