"""What one subscriber wants of several streams, of which each follows on the one before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from pipeline.reactive.demand import Demand
from pipeline.reactive.drain import Drain
from pipeline.reactive.flux import Flux
from pipeline.reactive.nobody import NOBODY
from pipeline.reactive.operators.base import Operator
from pipeline.reactive.subscriber import Records, Subscriber, Subscription, refuse_null

T = TypeVar("T")


class Arbiter:
    """Keeps what is wanted until there is a stream to ask, and asks each next one for what is left.

    The lock makes one step of adding to the demand and choosing whom to ask, or a request that meets a
    change of streams would be made of both.

    Attributes:
        broken: a request that broke rule 3.9 has been made; the stream that is asked refuses it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._demand = Demand()
        self._invalid: int | None = None
        self._current: Subscription | None = None

    @property
    def broken(self) -> bool:
        return self._invalid is not None

    def request(self, n: int) -> None:
        """Ask the stream there is now, or the next one; any thread."""
        with self._lock:
            if n > 0:
                self._demand.request(n)
            else:
                self._invalid = n
            current = self._current
        if current is not None:
            current.request(n)

    def switch(self, subscription: Subscription | None) -> None:
        """Ask this one from now on, first for what the ones before did not give; None if there is none."""
        with self._lock:
            self._current = subscription
            left = self._demand.left if self._invalid is None else self._invalid
        if subscription is not None and (left or self.broken):
            subscription.request(left)

    def produced(self, n: int) -> None:
        """Count records that have come; the stream's thread only."""
        self._demand.produced(n)


class Leg(Operator[T, T]):
    """Subscribes one stream of several; it forwards the records, and passes its end to the next one.

    Args:
        downstream: of all of them.
        arbiter: keeps the demand of all of them.
        ended: called once with the error or None, never after a cancel.
    """

    def __init__(
        self, downstream: Subscriber[T], arbiter: Arbiter, ended: Callable[[Exception | None], None]
    ) -> None:
        super().__init__(downstream)
        self._arbiter = arbiter
        self._ended = ended

    def on_subscribe(self, subscription: Subscription) -> None:
        if self._accept(subscription):
            self._arbiter.switch(subscription)

    def on_next(self, value: T, /) -> None:
        refuse_null(value, "on_next")
        self._arbiter.produced(1)
        self._downstream.on_next(value)

    def on_next_batch(self, values: Records[T]) -> None:
        self._arbiter.produced(len(values))
        self._downstream.on_next_batch(values)

    def on_error(self, error: Exception) -> None:
        refuse_null(error, "on_error")
        self._finish(error)

    def on_completed(self) -> None:
        self._finish(None)

    def _finish(self, error: Exception | None) -> None:
        if not self._done:
            self._arbiter.switch(None)
            self._end()
            self._ended(error)
        elif error is not None:
            self._downstream.on_error(error)


class Sequel(Generic[T]):
    """The subscription to streams that follow one another, each when the one before has ended.

    The next one is subscribed in a turn of a drain loop: ten thousand that end at once need no stack.
    """

    def __init__(self, downstream: Subscriber[T]) -> None:
        self._downstream = downstream
        self._arbiter = Arbiter()
        self._drain = Drain(self._turn)
        self._due = True
        self._leg: Leg[T] | None = None

    @property
    def _done(self) -> bool:
        """Whether the end or a cancel has come."""
        return self._downstream is NOBODY

    def begin(self) -> None:
        """Give downstream its subscription, then subscribe the first stream."""
        self._downstream.on_subscribe(self)
        self._drain()

    # --- the subscription: any thread -------------------------------------------------------------

    def request(self, n: int) -> None:
        if not self._done:
            self._arbiter.request(n)

    def cancel(self) -> None:
        self._let_go()
        self._stop()

    # --- for the operators --------------------------------------------------------------------------

    def _follow(self) -> Flux[T] | None:
        """Return the stream that is next; None if that was the last."""
        raise NotImplementedError

    def _ended(self, error: Exception | None) -> None:
        """Decide, once a stream has ended, between `_go_on` now or later and `_finish`."""
        raise NotImplementedError

    def _go_on(self) -> None:
        self._due = True
        self._drain()

    def _finish(self, error: Exception | None) -> None:
        """End downstream, unless it has cancelled or had its end."""
        downstream = self._let_go()
        self._stop()
        if error is not None:
            downstream.on_error(error)
        else:
            downstream.on_completed()

    def _stop(self) -> None:
        """Cancel what runs: the end or a cancel has come."""
        if self._leg is not None:
            self._leg.cancel()

    def _let_go(self) -> Subscriber[T]:
        downstream, self._downstream = self._downstream, cast("Subscriber[T]", NOBODY)
        return downstream

    def _turn(self) -> None:
        if not self._due or self._done:
            return
        self._due = False
        stream = self._follow()
        if stream is None:
            self._finish(None)
            return
        leg = self._leg = Leg(self._downstream, self._arbiter, self._ended)
        if self._done:  # read after the leg is set: `cancel` sets the one and reads the other
            leg.cancel()
        stream.connect(leg)
