"""Emit the first records and request no more than these."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from reactivex import Observable

from pipeline.reactive.flux import Flux
from pipeline.reactive.operators.base import Operator, flux_of, lift
from pipeline.reactive.sources.iterable import from_iterable
from pipeline.reactive.subscriber import Records, Subscriber


def take(count: int) -> Callable[[Observable[Any]], Flux[Any]]:
    """Emit the first `count` records, then cancel; no more is ever requested from upstream.

    Args:
        count: records; with 0 the stream is empty and upstream not even subscribed.

    Raises:
        ValueError: `count` is negative.
    """
    if count < 0:
        raise ValueError(f"take needs a count of at least 0, not {count}")
    if count == 0:
        return _nothing
    return lift("take", lambda downstream: _Take(downstream, count))


def _nothing(source: Observable[Any]) -> Flux[Any]:
    flux_of("take", source)
    return from_iterable(())


class _Take(Operator[Any, Any]):
    def __init__(self, downstream: Subscriber[Any], count: int) -> None:
        super().__init__(downstream)
        self._missing = count  # changed by upstream's calls only
        self._unasked = count
        self._lock = threading.Lock()  # of what is unasked: requests come from any thread

    def request(self, n: int) -> None:
        with self._lock:
            part = min(n, self._unasked)
            self._unasked -= max(part, 0)
        if part > 0 or n <= 0:  # an invalid one goes up like any other
            super().request(part)

    def on_next(self, value: Any, /) -> None:
        if value is None or self._done:
            self._refuse(value)
            return
        self._missing -= 1
        if self._missing:
            self._downstream.on_next(value)
        else:
            self._last(lambda downstream: downstream.on_next(value))

    def on_next_batch(self, values: Records[Any]) -> None:
        if self._done:
            super().on_next_batch(values)
            return
        wanted = values[: self._missing]
        self._missing -= len(wanted)
        if self._missing:
            self._downstream.on_next_batch(wanted)
        else:
            self._last(lambda downstream: downstream.on_next_batch(wanted))

    def _last(self, hand_on: Callable[[Subscriber[Any]], object]) -> None:
        """Emit what completes the count, then end: downstream may have cancelled in between."""
        hand_on(self._downstream)
        downstream = self._end()
        if self._upstream is not None:
            self._upstream.cancel()
        downstream.on_completed()
