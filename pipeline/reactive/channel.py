"""The bounded hand-over between two threads: the only place between vertices that holds records."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

from pipeline.reactive.demand import MAX_BOUND, AdaptiveBound, Prefetch
from pipeline.reactive.subscriber import Records, Subscription

T = TypeVar("T")

MAX_BYTES: Final = 16 * 1024 * 1024
"""Bytes a hand-over may hold, by a sampled estimate (DESIGN section 3)."""


class Channel(Generic[T]):
    """A queue with prefetch and the 75 % rule.

    The upstream thread calls the subscriber's methods, which never wait: what arrives was asked
    for. One consumer thread looks at `head` and takes. It waits on `condition`, which it may share
    with other channels and with its own demand.

    Args:
        condition: guards the queue; notified when something arrives.
        size: records the queue may hold; None adapts to about a second of the consumer's rate.
    """

    def __init__(self, condition: threading.Condition, size: int | None = None) -> None:
        self._condition = condition
        self._queue: deque[_Records[T] | _Control] = deque()
        self._adaptive = None if size is not None else AdaptiveBound(MAX_BOUND)
        self._size = size
        self._prefetch = Prefetch()
        self._subscription: Subscription | None = None
        self._buffered = 0
        self._taken = 0
        self._taken_at = 0.0
        self._ended = False

    # --- the upstream thread -----------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        self._subscription = subscription
        subscription.request(self._prefetch.first(self.capacity))

    def on_next_batch(self, values: Records[T]) -> None:
        with self._condition:
            self._queue.append(_Records(values))
            self._buffered += len(values)
            self._condition.notify()

    def on_control(self, element: object) -> None:
        with self._condition:
            self._queue.append(_Control(element))
            self._condition.notify()

    def on_error(self, error: Exception) -> None:
        """The failed side reports its error to whoever owns both; here the stream just ends."""
        self.on_completed()

    def on_completed(self) -> None:
        with self._condition:
            self._ended = True
            self._condition.notify()

    # --- any thread --------------------------------------------------------------------------

    @property
    def buffered(self) -> int:
        """Records in the queue."""
        return self._buffered

    @property
    def capacity(self) -> int:
        """Records the queue may hold now."""
        if self._adaptive is not None:
            return self._adaptive.value
        assert self._size is not None
        return self._size

    # --- the consumer's thread, holding the condition --------------------------------------------

    @property
    def has_records(self) -> bool:
        """Whether records come next."""
        return bool(self._queue) and isinstance(self._queue[0], _Records)

    @property
    def has_control(self) -> bool:
        """Whether a control element comes next."""
        return bool(self._queue) and isinstance(self._queue[0], _Control)

    @property
    def ended(self) -> bool:
        """Whether nothing is left and nothing will come."""
        return self._ended and not self._queue

    def take_control(self) -> object:
        """Take the control element that comes next."""
        first = self._queue.popleft()
        assert isinstance(first, _Control)
        return first.element

    def take_records(self, limit: int) -> Any:
        """Take at most `limit` of the records that come next; the rest stays in front."""
        first = self._queue[0]
        assert isinstance(first, _Records)
        values = first.values
        if len(values) > limit:
            first.values = values[limit:]
            values = values[:limit]
        else:
            self._queue.popleft()
        self._buffered -= len(values)
        self._taken = len(values)
        self._taken_at = time.perf_counter()
        return values

    # --- the consumer's thread, not holding it ---------------------------------------------------

    def consumed(self, values: Records[T]) -> None:
        """Say that the records last taken are dealt with; asks for more when it is time."""
        if self._adaptive is not None:
            self._adaptive.observe(self._taken, time.perf_counter() - self._taken_at)
            self._adaptive.limit(MAX_BYTES // record_bytes(values))
        more = self._prefetch.consumed(len(values), self.capacity)
        if more and self._subscription is not None:
            self._subscription.request(more)


class _Records(Generic[T]):
    __slots__ = ("values",)

    def __init__(self, values: Records[T]) -> None:
        self.values: Any = values


class _Control:
    __slots__ = ("element",)

    def __init__(self, element: object) -> None:
        self.element = element


def record_bytes(values: Records[Any]) -> int:
    """Estimate the size of a record from the first one: itself and what it holds one level down."""
    for value in values:
        size = sys.getsizeof(value, 64)
        if isinstance(value, Mapping):
            return size + sum(sys.getsizeof(item, 64) for item in value.values())
        if isinstance(value, (tuple, list)):
            return size + sum(sys.getsizeof(item, 64) for item in value)
        return size
    return 1
