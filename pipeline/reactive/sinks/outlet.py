"""One subscriber of a sink that hands its records to several."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from pipeline.reactive import hooks
from pipeline.reactive.emission import Emission
from pipeline.reactive.subscriber import Records, Subscriber

T = TypeVar("T")


class Outlet(Emission[T]):
    """Takes what its subscriber has room for, and hands it on in turns.

    Records are counted off the demand when they are taken, by the one thread that emits; so `free` is
    never too much. They wait only while another thread is emitting the ones before.

    Args:
        changed: called with this outlet when its subscriber asks for more or leaves.
    """

    def __init__(self, downstream: Subscriber[T], changed: Callable[[Outlet[T]], None]) -> None:
        super().__init__(downstream)
        self._changed = changed
        self._taken: deque[Records[T]] = deque()
        self._closing: tuple[Exception | None] | None = None

    @property
    def free(self) -> int:
        """Records that it can take; for the one that emits."""
        return self._demand.left

    def take(self, values: Records[T]) -> None:
        """Take as many records as are `free` at the most, and hand them on."""
        self._demand.produced(len(values))
        self._taken.append(values)
        self._drain()

    def close(self, error: Exception | None) -> None:
        """End the stream after what has been accepted."""
        self._closing = (error,)
        self._drain()

    def request(self, n: int) -> None:
        super().request(n)
        if not self.done:
            self._changed(self)

    def _emit(self, downstream: Subscriber[T]) -> None:
        closing = self._closing  # read first: nothing is taken after it
        while self._taken and not self.done:
            values = self._taken.popleft()
            if len(values) > 1:
                downstream.on_next_batch(values)
            else:
                for value in values:
                    downstream.on_next(value)
        if closing is not None and not self.done:
            self._end_with(*closing)

    def _cancelled(self) -> None:
        self._changed(self)

    def _clear(self) -> None:
        while self._taken:
            hooks.discarded(*self._taken.popleft())
