"""What every operator has in common: to its upstream a subscriber, to its downstream the subscription."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar, cast

from reactivex import Observable

from pipeline.core.errors import ConfigError
from pipeline.reactive import hooks
from pipeline.reactive.flux import Flux
from pipeline.reactive.nobody import NOBODY
from pipeline.reactive.subscriber import Records, Subscriber, Subscription, refuse_null

T = TypeVar("T")
R = TypeVar("R")


class Operator(Generic[T, R]):
    """An operator that passes each signal on, for the others to change what they must.

    By default it forwards demand unchanged. An invalid `request` (rule 3.9) is forwarded like any other:
    the emitter rejects it in its own turn, so that the error comes between two records.

    After the end or a cancel `_downstream` is `NOBODY`: that guards against what still comes (1.7, 2.8)
    and lets go of the subscriber (3.13).
    """

    def __init__(self, downstream: Subscriber[R]) -> None:
        self._downstream: Subscriber[R] = downstream
        self._upstream: Subscription | None = None

    @property
    def _done(self) -> bool:
        """Whether the end or a cancel has come."""
        return self._downstream is NOBODY

    # --- to upstream: a subscriber ----------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        if self._accept(subscription):
            self._downstream.on_subscribe(self)
            self._subscribed(subscription)

    def _accept(self, subscription: Subscription) -> bool:
        """Keep the subscription, unless there is one (rule 2.5) or downstream has cancelled already."""
        refuse_null(subscription, "on_subscribe")
        if self._upstream is not None:
            subscription.cancel()
            return False
        self._upstream = subscription
        if self._done:
            subscription.cancel()
        return not self._done

    def _subscribed(self, upstream: Subscription) -> None:
        """Do what is to be done once downstream has its subscription, such as a first request."""

    def on_next(self, value: T, /) -> object:
        """Take one record. One that is None must be refused (rule 2.13): see `refuse_null`."""
        raise NotImplementedError

    def on_next_batch(self, values: Records[T]) -> None:
        """Take several; here one by one, until nobody wants them."""
        for value in values:
            if self._done:
                hooks.discarded(value)
            else:
                self.on_next(value)

    def on_control(self, element: object) -> None:
        self._downstream.on_control(element)

    def on_error(self, error: Exception) -> None:
        refuse_null(error, "on_error")
        self._end().on_error(error)

    def on_completed(self) -> None:
        self._end().on_completed()

    # --- to downstream: the subscription ------------------------------------------------------------

    def request(self, n: int) -> None:
        if self._upstream is not None and not self._done:
            self._upstream.request(n)

    def cancel(self) -> None:
        if self._end() is not NOBODY and self._upstream is not None:
            self._upstream.cancel()

    # --- for the operators ---------------------------------------------------------------------------

    def _refuse(self, value: object) -> None:
        """Handle a record that must not be emitted: a null, or one after the end."""
        refuse_null(value, "on_next")
        hooks.dropped(value)

    def _end(self) -> Subscriber[R]:
        """Let go of the subscriber and return it, for its last signal."""
        downstream, self._downstream = self._downstream, cast("Subscriber[R]", NOBODY)
        return downstream

    def _fail(self, error: Exception) -> None:
        """Want no more from upstream and end downstream with `error`."""
        downstream = self._end()
        if self._upstream is not None:
            self._upstream.cancel()
        downstream.on_error(error)


def lift(name: str, operator: Callable[[Subscriber[R]], Subscriber[T]]) -> Callable[[Observable[T]], Flux[R]]:
    """Make an Rx operator that keeps demand of a function that wraps one subscriber in another.

    Args:
        name: what the user calls it.
        operator: called with each subscriber, before the source is subscribed.

    Example:
        >>> lift("map", lambda downstream: MapOperator(downstream, function))  # doctest: +SKIP
    """

    def lifted(source: Observable[T]) -> Flux[R]:
        upstream = flux_of(name, source)

        def connect(subscriber: Subscriber[R]) -> None:
            upstream.connect(operator(subscriber))

        return Flux(connect)

    return lifted


def flux_of(name: str, source: Observable[T]) -> Flux[T]:
    """Return the source of the operator called `name`, which must keep demand itself.

    Raises:
        ConfigError: it is a plain Observable, which would drown the operator.
    """
    if isinstance(source, Flux):
        return source
    raise ConfigError(
        f"{name} needs a Flux, found {type(source).__name__}, which has no demand",
        hint="wrap it with from_observable(source, overflow=…) or one of on_backpressure_…()",
    )
