"""The bounded hand-over between two threads: the only place between vertices that holds records."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pipeline.reactive.channel_bound import FixedBound, LearnedBound
from pipeline.reactive.demand import MAX_BATCH, Prefetch
from pipeline.reactive.rate import Rate
from pipeline.reactive.subscriber import Records, Subscription

T = TypeVar("T")


class Channel(Generic[T]):
    """A queue with prefetch and the 75 % rule.

    The upstream thread calls the subscriber's methods, which never wait: what arrives was asked
    for. One consumer thread looks at what comes next and takes it. It waits on `condition`, which it
    may share with other channels and with its own demand; one that is called when there is work
    instead needs none, and holds `guard`.

    Args:
        condition: notified when something arrives; None if nobody waits.
        size: records the queue may hold; None adapts to about a second of the consumer's rate.
        now: a clock in seconds that never goes back.
    """

    def __init__(
        self,
        condition: threading.Condition | None,
        size: int | None = None,
        *,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.guard = threading.Lock() if condition is None else condition
        self._notify = _nobody_waits if condition is None else condition.notify_all
        self._bound = LearnedBound(now) if size is None else FixedBound(size)
        self._queue: deque[_Records[T] | _Control] = deque()
        self._prefetch = Prefetch()
        self._asked = Rate(now)
        self._subscription: Subscription | None = None
        self._buffered = 0
        self._in_hand = 0
        self._singles: list[T] | None = None
        self._ended = False

    # --- the upstream thread -----------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        self._subscription = subscription
        first = self._prefetch.first(self.capacity)
        self._asked.add(first)
        subscription.request(first)

    def on_next(self, value: T) -> None:
        """Queue a single record; consecutive ones are taken together."""
        with self.guard:
            self._arrive(1)
            if self._singles is None:
                self._singles = [value]
                self._queue.append(_Records(self._singles))
            else:
                self._singles.append(value)
            self._notify()

    def extend(self, values: list[T]) -> None:
        """Queue several as if each had come by itself: a batch costs its consumer some microseconds.

        Copying a few hundred records takes hardly one.
        """
        with self.guard:
            self._arrive(len(values))
            if self._singles is None or len(self._singles) + len(values) > MAX_BATCH:
                self._singles = values.copy()
                self._queue.append(_Records(self._singles))
            else:
                self._singles += values
            self._notify()

    def on_next_batch(self, values: Records[T]) -> None:
        with self.guard:
            self._arrive(len(values))
            self._queue.append(_Records(values))
            self._singles = None
            self._notify()

    def on_control(self, element: object) -> None:
        with self.guard:
            self._queue.append(_Control(element))
            self._singles = None
            self._notify()

    def on_error(self, error: Exception) -> None:
        """The failed side reports its error to the owner of both; here the stream just ends."""
        self.on_completed()

    def on_completed(self) -> None:
        with self.guard:
            self._ended = True
            self._notify()

    # --- any thread --------------------------------------------------------------------------

    @property
    def buffered(self) -> int:
        """Records in the queue."""
        return self._buffered

    @property
    def capacity(self) -> int:
        """Records the queue may hold now."""
        return self._bound.value

    @property
    def is_full(self) -> bool:
        """Whether all that was asked for is here, so that what is before it is held back."""
        return self._buffered + self._in_hand >= self._prefetch.outstanding

    @property
    def request_rate(self) -> float:
        """Records a second that it asks for, lately."""
        return self._asked.value

    def __repr__(self) -> str:
        end = ", ended" if self._ended else ""
        return f"<Channel: {self._buffered} of {self.capacity} records{end}>"

    # --- the consumer's thread, holding the guard ------------------------------------------------

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

    @property
    def next_records(self) -> int:
        """Records that can be taken together."""
        first = self._queue[0] if self._queue else None
        return len(first) if isinstance(first, _Records) else 0

    def take_control(self) -> object:
        """Take the control element that comes next."""
        first = self._queue.popleft()
        assert isinstance(first, _Control)
        return first.element

    def take_records(self, limit: int) -> Any:
        """Take at most `limit` of the records that come next; the rest stays in front."""
        first = self._queue[0]
        assert isinstance(first, _Records)
        if len(self._queue) == 1:
            self._singles = None  # the consumer's now; if it grew on, what has been taken would stay in it
        values = first.take(limit)
        if not len(first):
            self._queue.popleft()
        self._buffered -= len(values)
        self._in_hand = len(values)
        return values

    # --- the consumer's thread, not holding it ---------------------------------------------------

    def consumed(self, values: Records[T]) -> None:
        """Say that the records last taken are dealt with; asks for more when it is time."""
        self._bound.consumed(values)
        self._in_hand = 0
        more = self._prefetch.consumed(len(values), self.capacity)
        if more and self._subscription is not None:
            self._asked.add(more)
            self._subscription.request(more)

    def _arrive(self, records: int) -> None:
        if not self._buffered and not self._in_hand:
            self._bound.busy()
        self._buffered += records


def _nobody_waits() -> None:
    """Notify nobody."""


class _Records(Generic[T]):
    """A batch and how much of it has been taken, so that taking a little copies a little."""

    __slots__ = ("_position", "_values")

    def __init__(self, values: Records[T]) -> None:
        self._values = values
        self._position = 0

    def __len__(self) -> int:
        return len(self._values) - self._position

    def take(self, limit: int) -> Any:
        start, self._position = self._position, min(self._position + limit, len(self._values))
        if start == 0 and not len(self):
            return self._values
        return self._values[start : self._position]


class _Control:
    __slots__ = ("element",)

    def __init__(self, element: object) -> None:
        self.element = element
