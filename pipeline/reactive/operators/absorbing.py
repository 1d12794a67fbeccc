"""What the `on_backpressure_…` operators have in common: they ask for everything and decide what to keep."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import Observable

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import hooks
from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.flux import Flux
from pipeline.reactive.intake import Intake
from pipeline.reactive.outbox import Outbox
from pipeline.reactive.sources.observable import from_observable
from pipeline.reactive.subscriber import Records, Subscriber, Subscription, refuse_null

T = TypeVar("T")


class Absorbing(Generic[T]):
    """Between an upstream that is asked for everything and a subscriber's outbox.

    Args:
        downstream: the subscriber.
        intake: decides what is kept for it.
        error_waits: whether an upstream error is emitted after the waiting records or discards them.
    """

    def __init__(self, downstream: Subscriber[T], intake: Intake[T], *, error_waits: bool = True) -> None:
        self._outbox = self._outbox_for(downstream)
        self._intake = intake
        self._error_waits = error_waits
        self._upstream: Subscription | None = None

    def _outbox_for(self, downstream: Subscriber[T]) -> Outbox[T]:
        return Outbox(downstream, on_cancel=self._cancel_upstream)

    def on_subscribe(self, subscription: Subscription) -> None:
        refuse_null(subscription, "on_subscribe")
        if self._upstream is not None:  # rule 2.5
            subscription.cancel()
            return
        self._upstream = subscription
        self._outbox.begin()
        if self._outbox.done:
            subscription.cancel()
        else:
            subscription.request(self._first_request())

    def on_next(self, value: T, /) -> None:
        refuse_null(value, "on_next")
        if self._outbox.closed:
            self._late(value)
            return
        try:
            self._intake.take(self._outbox, value)
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self._raised(error)

    def on_next_batch(self, values: Records[T]) -> None:
        if self._outbox.closed:
            for value in values:
                self._late(value)
            return
        try:
            self._intake.take_all(self._outbox, values)
        except Exception as error:  # noqa: BLE001 - as above
            self._raised(error)

    def on_control(self, element: object) -> None:
        if not self._outbox.closed:
            self._outbox.control(element)

    def on_error(self, error: Exception) -> None:
        refuse_null(error, "on_error")
        if self._outbox.closed:
            hooks.dropped_error(error)
        elif self._error_waits:
            self._outbox.end(error)
        else:
            self._outbox.abort(error)

    def on_completed(self) -> None:
        if not self._outbox.closed:
            self._outbox.end()

    def _first_request(self) -> int:
        return UNBOUNDED

    def _late(self, value: T) -> None:
        """Deal with a record that comes after the end."""
        hooks.dropped(value)

    def _raised(self, error: Exception) -> None:
        if self._outbox.done:
            if isinstance(error, BackpressureOverflow):
                return  # the subscriber has left meanwhile: nobody misses the record
            raise error  # by a subscriber that had cancelled: an observer that has no use for errors
        self._cancel_upstream()
        self._outbox.end(error)

    def _cancel_upstream(self) -> None:
        if self._upstream is not None:
            self._upstream.cancel()


def absorbing(operator: Callable[[Subscriber[T]], Absorbing[T]]) -> Callable[[Observable[T]], Flux[T]]:
    """Make an Rx operator of it. A plain Observable may be before it: it names what is done on overflow."""

    def lifted(source: Observable[T]) -> Flux[T]:
        upstream = from_observable(source)

        def connect(subscriber: Subscriber[T]) -> None:
            upstream.connect(operator(subscriber))

        return Flux(connect)

    return lifted
