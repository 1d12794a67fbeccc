"""A subscriber to derive from: hooks for its signals, and the rules of chapter 2 kept around them."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Generic, TypeVar

from pipeline.reactive import hooks
from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.subscriber import Subscription, refuse_null

T = TypeVar("T")


class SignalType(Enum):
    """What ended a subscription."""

    ON_COMPLETE = auto()
    ON_ERROR = auto()
    CANCEL = auto()


class BaseSubscriber(Generic[T]):
    """Override the hooks; ask with `request`, leave with `cancel`.

    A hook that raises ends the subscription, and `hook_on_error` is called with it; if that raises, it is
    reported as a dropped error. `hook_finally` comes last in any case, once.

    Example:
        >>> class OneAtATime(BaseSubscriber[int]):
        ...     def hook_on_subscribe(self):
        ...         self.request(1)
        ...
        ...     def hook_on_next(self, value):
        ...         print(value)
        ...         self.request(1)
        >>> _ = from_iterable([1, 2]).subscribe(OneAtATime())  # doctest: +SKIP
        1
        2
    """

    def __init__(self) -> None:
        self._subscription: Subscription | None = None
        self._ended = False

    # --- hooks -----------------------------------------------------------------------------------

    def hook_on_subscribe(self) -> None:
        """Request the first records; by default all."""
        self.request(UNBOUNDED)

    def hook_on_next(self, value: T) -> None:
        """Process a record."""

    def hook_on_complete(self) -> None:
        """React to the completion of the stream."""

    def hook_on_error(self, error: Exception) -> None:
        """React to the error of the stream or of another hook; by default it is a dropped error."""
        raise error

    def hook_on_cancel(self) -> None:
        """Clean up after a cancel."""

    def hook_finally(self, signal: SignalType) -> None:
        """Clean up, whatever ended the subscription."""

    # --- for the hooks, and for any thread -----------------------------------------------------------

    def request(self, n: int) -> None:
        """Ask for `n` more records."""
        if self._subscription is not None and not self._ended:
            self._subscription.request(n)

    def cancel(self) -> None:
        """Want nothing more."""
        if self._end():
            if self._subscription is not None:
                self._subscription.cancel()
            self._finish(self.hook_on_cancel, SignalType.CANCEL)

    def dispose(self) -> None:
        """Cancel, as disposables of Rx do."""
        self.cancel()

    @property
    def is_disposed(self) -> bool:
        """Whether the subscription has ended, by whatever."""
        return self._ended

    # --- the subscriber ----------------------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        refuse_null(subscription, "on_subscribe")
        if self._subscription is not None or self._ended:  # rule 2.5
            subscription.cancel()
            return
        self._subscription = subscription
        try:
            self.hook_on_subscribe()
        except Exception as error:  # noqa: BLE001 - goes to the hook for errors
            self._fail(error)

    def on_next(self, value: T) -> None:
        refuse_null(value, "on_next")
        if self._ended:
            hooks.dropped(value)
            return
        try:
            self.hook_on_next(value)
        except Exception as error:  # noqa: BLE001 - goes to the hook for errors
            self._fail(error)

    def on_error(self, error: Exception) -> None:
        refuse_null(error, "on_error")
        if self._end():
            self._tell(error)
        else:
            hooks.dropped_error(error)

    def on_completed(self) -> None:
        if self._end():
            self._finish(self.hook_on_complete, SignalType.ON_COMPLETE)

    # --- ends ----------------------------------------------------------------------------------------

    def _end(self) -> bool:
        was_open, self._ended = not self._ended, True
        return was_open

    def _fail(self, error: Exception) -> None:
        if self._end():
            if self._subscription is not None:
                self._subscription.cancel()
            self._tell(error)
        else:
            hooks.dropped_error(error)

    def _tell(self, error: Exception) -> None:
        self._run(lambda: self.hook_on_error(error))
        self._run(lambda: self.hook_finally(SignalType.ON_ERROR))

    def _finish(self, hook: Callable[[], object], signal: SignalType) -> None:
        try:
            hook()
        except Exception as error:  # noqa: BLE001 - goes to the hook for errors
            failure = error
            self._run(lambda: self.hook_on_error(failure))
        self._run(lambda: self.hook_finally(signal))

    def _run(self, hook: Callable[[], object]) -> None:
        try:
            hook()
        except Exception as error:  # noqa: BLE001 - there is nobody left to notify
            hooks.dropped_error(error)
