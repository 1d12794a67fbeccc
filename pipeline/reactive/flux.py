"""Flux: a reactivex Observable whose subscribers say how much they want."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.subscriber import Records, Subscriber, Subscription

T = TypeVar("T")
U = TypeVar("U")


class Flux(Observable[T]):
    """An Observable that keeps demand.

    A subscriber with `on_subscribe(subscription)` receives nothing until it requests. Any other
    observer, and every plain Rx operator, is taken to want everything. Operators are ordinary Rx
    operators for `.pipe(...)`; those that keep demand return a Flux.

    Args:
        connect: called with each subscriber; must call its `on_subscribe` before any other signal.

    Example:
        >>> def connect(subscriber):
        ...     subscriber.on_subscribe(subscription)
        >>> Flux(connect)  # doctest: +SKIP
    """

    def __init__(self, connect: Callable[[Subscriber[T]], None]) -> None:
        super().__init__()
        self._connect = connect

    def subscribe(
        self,
        on_next: Any = None,
        on_error: abc.OnError | None = None,
        on_completed: abc.OnCompleted | None = None,
        *,
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        """Subscribe an observer, a subscriber with `on_subscribe`, or callbacks.

        The inherited method forwards only three signals through an auto-detaching observer, which
        would lose the subscription; hence this one.

        Raises:
            TypeError: `on_next` is neither callable nor an observer (rule 1.9).
        """
        subscriber = _as_subscriber(on_next, on_error, on_completed)
        link = _Link(subscriber)
        self._connect(link)
        return Disposable(link.cancel)

    def connect(self, subscriber: Subscriber[T]) -> None:
        """Subscribe something that is a full `Subscriber` already, without a wrapper in between."""
        self._connect(subscriber)


def lift(operator: Callable[[Subscriber[U]], Subscriber[T]]) -> Callable[[Observable[T]], Flux[U]]:
    """Make an Rx operator that keeps demand from a function which puts a subscriber before another.

    The source must be a Flux: what keeps demand needs demand before it.
    """

    def apply(source: Observable[T]) -> Flux[U]:
        if not isinstance(source, Flux):
            raise TypeError(f"expected a Flux before this operator, found {type(source).__name__}")
        upstream = cast("Flux[T]", source)
        return Flux(lambda downstream: upstream.connect(operator(downstream)))

    return apply


def _as_subscriber(on_next: Any, on_error: Any, on_completed: Any) -> Subscriber[Any]:
    if callable(getattr(on_next, "on_subscribe", None)):
        if callable(getattr(on_next, "on_next_batch", None)) and callable(
            getattr(on_next, "on_control", None)
        ):
            return cast("Subscriber[Any]", on_next)
        return _Demanding(on_next)
    if callable(getattr(on_next, "on_next", None)):
        return _Everything(on_next.on_next, on_next.on_error, on_next.on_completed)
    if on_next is not None and not callable(on_next):
        raise TypeError(f"expected an observer or a callback, found {type(on_next).__name__}")
    return _Everything(on_next, on_error, on_completed)


class _Link(Generic[T]):
    """Stands between a Flux and a foreign subscriber: lets go of it after the end or a cancel (3.13)."""

    def __init__(self, subscriber: Subscriber[T]) -> None:
        self._subscriber: Subscriber[T] | None = subscriber
        self._subscription: Subscription | None = None

    def on_subscribe(self, subscription: Subscription) -> None:
        if self._subscription is not None:
            subscription.cancel()  # rule 2.5: the second one is refused
            return
        self._subscription = subscription
        if self._subscriber is not None:
            self._subscriber.on_subscribe(_LinkedSubscription(self, subscription))

    def on_next_batch(self, values: Records[T]) -> None:
        if self._subscriber is not None:
            self._subscriber.on_next_batch(values)

    def on_control(self, element: object) -> None:
        if self._subscriber is not None:
            self._subscriber.on_control(element)

    def on_error(self, error: Exception) -> None:
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None:
            subscriber.on_error(error)

    def on_completed(self) -> None:
        subscriber, self._subscriber = self._subscriber, None
        if subscriber is not None:
            subscriber.on_completed()

    def cancel(self) -> None:
        self._subscriber = None
        if self._subscription is not None:
            self._subscription.cancel()


class _LinkedSubscription:
    """The subscription a foreign subscriber holds: nothing happens once it is cancelled (3.6, 3.7)."""

    def __init__(self, link: _Link[Any], subscription: Subscription) -> None:
        self._link = link
        self._subscription = subscription
        self._cancelled = False

    def request(self, n: int) -> None:
        if not self._cancelled:
            self._subscription.request(n)

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._link.cancel()


class _Demanding(Generic[T]):
    """An observer that manages its demand but takes records one by one."""

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._on_next_batch = getattr(observer, "on_next_batch", None)
        self._on_control = getattr(observer, "on_control", None)

    def on_subscribe(self, subscription: Subscription) -> None:
        self._observer.on_subscribe(subscription)

    def on_next_batch(self, values: Records[T]) -> None:
        if self._on_next_batch is not None:
            self._on_next_batch(values)
            return
        on_next = self._observer.on_next
        for value in values:
            on_next(value)

    def on_control(self, element: object) -> None:
        if self._on_control is not None:
            self._on_control(element)

    def on_error(self, error: Exception) -> None:
        self._observer.on_error(error)

    def on_completed(self) -> None:
        self._observer.on_completed()


class _Everything(Generic[T]):
    """Callbacks without a notion of demand: they are taken to want everything."""

    def __init__(
        self,
        on_next: Callable[[T], None] | None,
        on_error: Callable[[Exception], None] | None,
        on_completed: Callable[[], None] | None,
    ) -> None:
        self._on_next = on_next
        self._on_error = on_error
        self._on_completed = on_completed

    def on_subscribe(self, subscription: Subscription) -> None:
        subscription.request(UNBOUNDED)

    def on_next_batch(self, values: Records[T]) -> None:
        if self._on_next is not None:
            for value in values:
                self._on_next(value)

    def on_control(self, element: object) -> None:
        """Control elements mean nothing to a plain observer."""

    def on_error(self, error: Exception) -> None:
        if self._on_error is None:
            raise error
        self._on_error(error)

    def on_completed(self) -> None:
        if self._on_completed is not None:
            self._on_completed()
