"""Subscribe again after an error, when another stream says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable

from pipeline.reactive.arbiter import Sequel
from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.flux import Flux
from pipeline.reactive.operators.base import flux_of
from pipeline.reactive.sinks.unicast import UnicastSink
from pipeline.reactive.subscriber import Records, Subscriber, Subscription

T = TypeVar("T")


def retry_when(
    companion: Callable[[Flux[Exception]], Observable[Any]],
) -> Callable[[Observable[T]], Flux[T]]:
    """Subscribe to the stream again whenever `companion` emits.

    What was asked for and has not come is asked for again; records that came are not taken back.

    Args:
        companion: makes of the stream of errors another one, once for each subscriber. Each record of
            that is a new try, its completion completes the whole, its error ends the whole. `backoff`
            is one. What it raises ends the stream.

    Example:
        >>> flux.pipe(retry_when(backoff(RestartStrategy.fixed_delay(3), scheduler)))  # doctest: +SKIP
    """

    def retried(source: Observable[T]) -> Flux[T]:
        stream = flux_of("retry_when", source)
        return Flux(lambda subscriber: _Retry(subscriber, stream).watch(companion))

    return retried


class _Retry(Sequel[T]):
    def __init__(self, downstream: Subscriber[T], stream: Flux[T]) -> None:
        super().__init__(downstream)
        self._stream = stream
        self._errors = UnicastSink[Exception]()
        self._decisions = _Decisions(self._again, self._finish)
        self._failed = False

    def watch(self, companion: Callable[[Flux[Exception]], Observable[Any]]) -> None:
        """Begin, with the companion listening before anything can fail."""
        try:
            flux_of("retry_when's companion", companion(self._errors.flux)).connect(self._decisions)
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self._downstream.on_subscribe(self)
            self._finish(error)
        else:
            self.begin()

    def _follow(self) -> Flux[T]:
        return self._stream

    def _ended(self, error: Exception | None) -> None:
        if error is None or self._arbiter.broken:  # a request that broke a rule would break it again
            self._finish(error)
        else:
            self._failed = True
            self._errors.try_emit_next(error)

    def _again(self) -> None:
        if self._failed:  # a companion that speaks unasked is not heard
            self._failed = False
            self._go_on()

    def _stop(self) -> None:
        super()._stop()
        self._decisions.cancel()


class _Decisions:
    """Listens to the companion."""

    def __init__(self, again: Callable[[], None], finish: Callable[[Exception | None], None]) -> None:
        self._again = again
        self._finish = finish
        self._subscription: Subscription | None = None
        self._cancelled = False

    def on_subscribe(self, subscription: Subscription) -> None:
        if self._subscription is not None:  # rule 2.5
            subscription.cancel()
            return
        self._subscription = subscription
        if self._cancelled:
            subscription.cancel()
        else:
            subscription.request(UNBOUNDED)

    def on_next(self, value: object, /) -> None:
        self._again()

    def on_next_batch(self, values: Records[object]) -> None:
        self._again()

    def on_control(self, element: object) -> None:
        """Nothing to decide by."""

    def on_error(self, error: Exception) -> None:
        self._finish(error)

    def on_completed(self) -> None:
        self._finish(None)

    def cancel(self) -> None:
        self._cancelled = True
        if self._subscription is not None:
            self._subscription.cancel()
