"""Sources that emit without being asked, paced so that they give just what is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from pipeline.reactive import Flux
from pipeline.reactive.demand import Demand
from pipeline.reactive.drain import Drain


class Feed(Protocol):
    """Takes what is to be emitted."""

    def next(self, value: int, /) -> object: ...
    def complete(self) -> object: ...


Build = Callable[[], tuple[Flux[int], Callable[[], Feed]]]
"""Makes a stream and, once that is subscribed, what feeds it."""


def paced(build: Build, elements: int) -> Flux[int]:
    """Return a stream of that many elements, each emitted when its subscriber wants another one."""

    def connect(subscriber: Any) -> None:
        flux, feed = build()
        pace = _Paced(subscriber, feed, elements)
        flux.connect(pace)
        pace.begin()

    return Flux(connect)


class _Paced:
    """Wraps the subscriber, and lets its requests through before they are fed."""

    def __init__(self, subscriber: Any, feed: Callable[[], Feed], elements: int) -> None:
        self._subscriber: Any = subscriber
        self._feed = feed
        self._left = elements
        self._number = 0
        self._demand = Demand()
        self._subscription: Any = None
        self._begun = False
        self._over = False
        self._drain = Drain(self._turn)

    def begin(self) -> None:
        """Feed it from now on: before, what is to be fed may not be there."""
        self._begun = True
        self._drain()

    def on_subscribe(self, subscription: Any) -> None:
        self._subscription = subscription
        self._subscriber.on_subscribe(self)

    def on_next(self, value: int) -> None:
        self._subscriber.on_next(value)

    def on_next_batch(self, values: Any) -> None:
        self._subscriber.on_next_batch(values)

    def on_control(self, element: object) -> None:
        self._subscriber.on_control(element)

    def on_error(self, error: Exception) -> None:
        self._over = True
        self._subscriber.on_error(error)

    def on_completed(self) -> None:
        self._over = True
        self._subscriber.on_completed()

    def request(self, n: int) -> None:
        self._subscription.request(n)
        if n > 0:
            self._demand.request(n)
        self._drain()

    def cancel(self) -> None:
        self._over = True
        self._subscription.cancel()
        self._subscriber = None

    def _turn(self) -> None:
        if not self._begun:
            return
        while self._left and self._demand.left > 0 and not self._over:
            self._left -= 1
            self._number += 1
            self._demand.produced()
            self._feed().next(self._number)
        if not self._left and not self._over:
            self._over = True
            self._feed().complete()
