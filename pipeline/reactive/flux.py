"""Flux: a reactivex Observable whose subscribers say how much they want."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Generic, TypeVar, cast

from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.scheduler import CurrentThreadScheduler

from pipeline.reactive import hooks
from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.nobody import NO_EMISSION
from pipeline.reactive.subscriber import Records, Subscriber, Subscription, refuse_null

T = TypeVar("T")


class Flux(Observable[T]):
    """An Observable that keeps demand.

    A subscriber with `on_subscribe(subscription)` receives nothing until it requests. Any other
    observer, and every plain Rx operator, is taken to want everything. A subscriber may offer
    `on_next_batch(values)` and `on_control(element)`; one that does not is handed the records one by
    one, and no control elements.

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
        if not _offers(on_next, "on_subscribe"):
            _warn_of_lost_demand()
        link = _Link[T]()
        link.attach(_as_subscriber(link, on_next, on_error, on_completed))
        self._connect(link)
        return Disposable(link.cancel)

    def connect(self, subscriber: Subscriber[T]) -> None:
        """Subscribe something that keeps the whole protocol itself, without a wrapper in between."""
        self._connect(subscriber)


class DemandLost(UserWarning):
    """A plain Rx operator is downstream of a Flux: it requests everything, however slow its subscriber is."""


_RX_OPERATORS: Final = ("reactivex.operators._", "reactivex.observable.")
_NO_OPERATORS: Final = {"observable", "tofuture"}  # end a stream inside `pipe` or `await`
_INTERNAL: Final = ("reactivex.", "pipeline.reactive.")
_warned_of: set[str] = set()


def _warn_of_lost_demand() -> None:
    """Warn, once for each operator, if one of reactivex's own is what subscribes: at the user's line."""
    frame = inspect.currentframe()
    caller = frame.f_back.f_back if frame is not None and frame.f_back is not None else None
    module = _module_of(caller)
    name = module.rpartition(".")[2].lstrip("_")
    if not module.startswith(_RX_OPERATORS) or name in _NO_OPERATORS | _warned_of:
        return
    _warned_of.add(name)
    level = 3
    while _module_of(caller).startswith(_INTERNAL) and caller is not None:
        caller, level = caller.f_back, level + 1
    warnings.warn(
        f"reactivex's {name} downstream of a Flux requests everything: demand is lost there. If records may "
        "pile up, put an operator of pipeline.reactive in its place, or on_backpressure_…() before it",
        DemandLost,
        stacklevel=level,
    )


def _module_of(frame: FrameType | None) -> str:
    return frame.f_globals.get("__name__", "") if frame is not None else ""


class _Link(Generic[T]):
    """Sits between a Flux and a foreign subscriber, and acts to each as the other.

    It refuses a second subscription (2.5), passes nothing on after the end or a cancel, in either
    direction (1.7, 3.6, 3.7), and then lets go of the subscriber (3.13). What the subscriber asks for
    in the midst of `on_subscribe` goes up when that has returned, so that no signal comes before.
    """

    def __init__(self) -> None:
        self._subscriber: Subscriber[T] | None = None
        self._subscription: Subscription | None = None
        self.on_next: Callable[[T], object] = NO_EMISSION

    def attach(self, subscriber: Subscriber[T]) -> None:
        """Set the subscriber, before anything else happens.

        A single record goes to it directly: each call in between would cost a tenth of the whole.
        """
        self._subscriber = subscriber
        self.on_next = subscriber.on_next

    @property
    def is_open(self) -> bool:
        """Whether neither the end nor a cancel has come."""
        return self._subscriber is not None

    # --- to the Flux --------------------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        refuse_null(subscription, "on_subscribe")
        if self._subscription is not None:
            subscription.cancel()
            return
        early = _Early(subscription)
        self._subscription = early
        subscriber = self._subscriber  # read after the subscription is set: see `cancel`
        if subscriber is None:
            subscription.cancel()
            return
        try:
            subscriber.on_subscribe(self)
        finally:
            self._subscription = subscription
            early.pass_on()

    def on_next_batch(self, values: Records[T]) -> None:
        subscriber = self._subscriber
        if subscriber is not None:
            try:
                subscriber.on_next_batch(values)
            except Exception as error:  # noqa: BLE001 - comes back to the one that raised it
                self._refused(subscriber, error)

    def on_control(self, element: object) -> None:
        subscriber = self._subscriber
        if subscriber is not None:
            subscriber.on_control(element)

    def on_error(self, error: Exception) -> None:
        refuse_null(error, "on_error")
        subscriber = self._let_go()
        if subscriber is not None:
            subscriber.on_error(error)

    def on_completed(self) -> None:
        subscriber = self._let_go()
        if subscriber is not None:
            subscriber.on_completed()

    def _refused(self, subscriber: Subscriber[T], error: Exception) -> None:
        """Cancel for a subscriber that raised (rule 2.13) and call its `on_error` with its own error."""
        self.cancel()
        try:
            subscriber.on_error(error)
        except Exception:
            hooks.dropped_error(error)
            raise

    def _let_go(self) -> Subscriber[T] | None:
        subscriber, self._subscriber = self._subscriber, None
        self.on_next = NO_EMISSION
        return subscriber

    # --- to the subscriber --------------------------------------------------------------------

    def request(self, n: int) -> None:
        if self.is_open and self._subscription is not None:
            self._subscription.request(n)

    def cancel(self) -> None:
        # Whichever of this and `on_subscribe` runs later sees what the other has set, and cancels.
        if self._let_go() is not None and self._subscription is not None:
            self._subscription.cancel()


class _Early:
    """A subscription while its subscriber is still being told of it.

    Args:
        subscription: gets every call once `pass_on` is called, and directly from then on.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._calls: list[Callable[[], None]] | None = []
        self._lock = threading.Lock()

    def request(self, n: int) -> None:
        self._call(lambda: self._subscription.request(n))

    def cancel(self) -> None:
        self._call(self._subscription.cancel)

    def pass_on(self) -> None:
        """Make the calls that came so far, and wait with none any more."""
        with self._lock:
            calls, self._calls = self._calls or (), None
        for call in calls:
            call()

    def _call(self, call: Callable[[], None]) -> None:
        with self._lock:
            if self._calls is not None:
                self._calls.append(call)
                return
        call()


def _as_subscriber(link: _Link[Any], on_next: Any, on_error: Any, on_completed: Any) -> Subscriber[Any]:
    takes_batches, takes_singles = _offers(on_next, "on_next_batch"), _offers(on_next, "on_next")
    if _offers(on_next, "on_subscribe") and (takes_batches or takes_singles):
        if takes_batches and takes_singles and _offers(on_next, "on_control"):
            return cast("Subscriber[Any]", on_next)
        return _Demanding(link, on_next)
    if takes_singles:
        return _Everything(link, on_next.on_next, on_next.on_error, on_next.on_completed)
    if on_next is not None and not callable(on_next):
        raise TypeError(f"expected an observer or a callback, found {type(on_next).__name__}")
    return _Everything(link, on_next, on_error, on_completed)


def _offers(observer: Any, method: str) -> bool:
    return callable(getattr(observer, method, None))


class _Demanding(Generic[T]):
    """An observer that manages its demand but does not take all kinds of signal."""

    def __init__(self, link: _Link[T], observer: Any) -> None:
        self._link = link
        self._observer = observer
        self.on_next: Callable[[T], object] = (
            observer.on_next if _offers(observer, "on_next") else self._as_batch
        )
        self.on_next_batch: Callable[[Records[T]], None] = (
            observer.on_next_batch if _offers(observer, "on_next_batch") else self._as_singles
        )

    def on_subscribe(self, subscription: Subscription) -> None:
        self._observer.on_subscribe(subscription)

    def _as_batch(self, value: T) -> None:
        self._observer.on_next_batch([value])

    def _as_singles(self, values: Records[T]) -> None:
        _one_by_one(self._link, self._observer.on_next, values)

    def on_control(self, element: object) -> None:
        if _offers(self._observer, "on_control"):
            self._observer.on_control(element)

    def on_error(self, error: Exception) -> None:
        self._observer.on_error(error)

    def on_completed(self) -> None:
        self._observer.on_completed()


class _Everything(Generic[T]):
    """Callbacks without a notion of demand: they are taken to want everything."""

    def __init__(
        self,
        link: _Link[T],
        on_next: Callable[[T], object] | None,
        on_error: Callable[[Exception], object] | None,
        on_completed: Callable[[], object] | None,
    ) -> None:
        self._link = link
        self._on_next = on_next
        self._on_error = on_error
        self._on_completed = on_completed

    def on_subscribe(self, subscription: Subscription) -> None:
        # As Rx's own sources: where an action of this scheduler runs, as downstream of a plain operator,
        # `subscribe` returns before anything is emitted. So such an operator can end what never ends.
        def request(*_: Any) -> None:
            subscription.request(UNBOUNDED)

        CurrentThreadScheduler.singleton().schedule(request)

    def on_next(self, value: T) -> None:
        if self._on_next is not None:
            self._on_next(value)

    def on_next_batch(self, values: Records[T]) -> None:
        if self._on_next is not None:
            _one_by_one(self._link, self._on_next, values)

    def on_control(self, element: object) -> None:
        """Control elements mean nothing to a plain observer."""

    def on_error(self, error: Exception) -> None:
        if self._on_error is None:
            raise error
        self._on_error(error)

    def on_completed(self) -> None:
        if self._on_completed is not None:
            self._on_completed()


def _one_by_one(link: _Link[T], on_next: Callable[[T], object], values: Records[T]) -> None:
    """Hand the records of a batch over, as far as they are wanted: an observer may cancel at any of them."""
    for value in values:
        if not link.is_open:
            return
        on_next(value)
