"""Subscribe to a stream, and ask it for records, where a scheduler says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable, abc

from pipeline.reactive.arbiter import Arbiter
from pipeline.reactive.flux import Flux
from pipeline.reactive.operators.base import Operator, flux_of
from pipeline.reactive.subscriber import Records, Subscriber, Subscription, refuse_null

T = TypeVar("T")


def subscribe_on(scheduler: abc.SchedulerBase) -> Callable[[Observable[T]], Flux[T]]:
    """Let the source run where `scheduler` runs: it is subscribed there, and asked for records there.

    Args:
        scheduler: what it refuses to run ends the stream with its error.

    Example:
        >>> from pipeline.reactive import from_iterable
        >>> from reactivex.scheduler import ImmediateScheduler
        >>> from_iterable([1, 2]).pipe(subscribe_on(ImmediateScheduler())).subscribe(print).dispose()
        1
        2
    """

    def moved(source: Observable[T]) -> Flux[T]:
        upstream = flux_of("subscribe_on", source)

        def connect(subscriber: Subscriber[T]) -> None:
            _SubscribeOn(subscriber, scheduler).begin(upstream)

        return Flux(connect)

    return moved


class _SubscribeOn(Operator[T, T]):
    """Its arbiter keeps what is asked for until the source has been subscribed."""

    def __init__(self, downstream: Subscriber[T], scheduler: abc.SchedulerBase) -> None:
        super().__init__(downstream)
        self._arbiter = Arbiter()
        self._scheduler = scheduler
        self._subscribing: abc.DisposableBase | None = None

    def begin(self, upstream: Flux[T]) -> None:
        """Give downstream its subscription, then have the source subscribed."""

        def subscribe(_scheduler: Any, _state: Any = None) -> None:
            if not self._done:
                upstream.connect(self)

        self._downstream.on_subscribe(self)
        if self._done:
            return
        try:
            self._subscribing = self._scheduler.schedule(subscribe)
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self._fail(error)
        if self._done:  # read after the schedule is set: see `cancel`
            self._dispose()

    def on_subscribe(self, subscription: Subscription) -> None:
        if self._accept(subscription):
            self._arbiter.switch(_Elsewhere(subscription, self._scheduler, self._fail))

    def on_next(self, value: T, /) -> None:
        refuse_null(value, "on_next")
        self._downstream.on_next(value)

    def on_next_batch(self, values: Records[T]) -> None:
        self._downstream.on_next_batch(values)

    def request(self, n: int) -> None:
        if not self._done:
            self._arbiter.request(n)

    def cancel(self) -> None:
        super().cancel()
        self._dispose()

    def _dispose(self) -> None:
        if self._subscribing is not None:
            self._subscribing.dispose()


class _Elsewhere:
    """A subscription whose requests a scheduler makes, save those that come from its thread anyway."""

    def __init__(
        self, subscription: Subscription, scheduler: abc.SchedulerBase, rejected: Callable[[Exception], None]
    ) -> None:
        self._subscription = subscription
        self._scheduler = scheduler
        self._rejected = rejected
        self._thread = threading.get_ident()

    def request(self, n: int) -> None:
        if threading.get_ident() == self._thread:
            self._subscription.request(n)
            return

        def ask(_scheduler: Any, _state: Any = None) -> None:
            self._subscription.request(n)

        try:
            self._scheduler.schedule(ask)
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self._rejected(error)

    def cancel(self) -> None:
        self._subscription.cancel()
