"""A producer with its own thread, driven by `request(n)`: it may emit only what was requested."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Generic, TypeVar

from pipeline.core.errors import InternalError
from pipeline.core.raised import as_exception
from pipeline.reactive.demand import add_cap, produced, validate_request
from pipeline.reactive.flux import Flux
from pipeline.reactive.subscriber import BatchSubscriber, Records

T = TypeVar("T")


class Interrupted(BaseException):
    """Unwinds a producer's thread after a cancel; user code that catches Exception lets it through."""


class ThreadProducer(Generic[T]):
    """Runs a function in a named thread and hands what it emits to one subscriber.

    The function waits for demand with `wait_demand`, emits with `next_batch` and `control`, and
    returns at the end of the stream. It also serves as the subscription: `request` and `cancel` may
    come from any thread, never run the function, and only wake it.

    One condition guards demand and everything else the thread may wait for: code that changes what
    the thread looks at does so holding `condition` and notifies it.

    Args:
        run: called in the thread with this producer.
        thread_name: names the thread.

    Example:
        >>> def run(producer):
        ...     while n := producer.wait_demand():
        ...         producer.next_batch(list(range(n)))
        >>> producer = ThreadProducer(run, "numbers")
        >>> disposable = producer.flux.subscribe(print)  # doctest: +SKIP
        >>> producer.start()  # doctest: +SKIP
    """

    def __init__(self, run: Callable[[ThreadProducer[T]], None], thread_name: str) -> None:
        self._run = run
        self._lock = threading.RLock()
        self.condition = threading.Condition(self._lock)
        self._waits = False
        self._subscriber: BatchSubscriber[T] | None = None
        self._has_had_subscriber = False
        self._requested = 0
        self._violation: ValueError | None = None
        self._cancelled = False
        self._thread = threading.Thread(target=self._main, name=thread_name, daemon=True)

    # --- the stream ------------------------------------------------------------------------

    @property
    def flux(self) -> Flux[T]:
        """The stream; one subscriber only, since there is one thread. Others get an error (1.9)."""
        return Flux(self.connect)

    def connect(self, subscriber: BatchSubscriber[T]) -> None:
        """Subscribe one of the engine's own parts: this producer emits nothing but batches."""
        with self.condition:
            refused, self._has_had_subscriber = self._has_had_subscriber, True
            if not refused:
                self._subscriber = subscriber
        if refused:
            subscriber.on_subscribe(_NoSubscription())
            subscriber.on_error(InternalError(f"{self._thread.name} serves only one subscriber"))
        else:
            subscriber.on_subscribe(self)

    # --- the subscription: any thread --------------------------------------------------------

    def request(self, n: int) -> None:
        """Add demand; rule 3.9's violation ends the stream with an error."""
        with self._lock:
            if self._cancelled:
                return
            try:
                self._requested = add_cap(self._requested, validate_request(n))
            except ValueError as error:
                self._violation = error
            if self._waits:  # mostly it is this very thread, in the midst of an emission
                self.condition.notify_all()

    def cancel(self) -> None:
        """Ask the function to return; whatever it waits for here ends now."""
        with self.condition:
            self._cancelled = True
            self._subscriber = None  # rule 3.13
            self.condition.notify_all()

    def wake(self) -> None:
        """Let the thread look again at what it waits for."""
        with self._lock:
            if self._waits:  # mostly it is this very thread, in the midst of an emission
                self.condition.notify_all()

    # --- the thread's owner ------------------------------------------------------------------

    def start(self) -> None:
        """Start the thread.

        Raises:
            InternalError: the stream has had no subscriber yet, so its end would reach nobody.
        """
        if not self._has_had_subscriber:
            raise InternalError(f"{self._thread.name} is started without a subscriber")
        self._thread.start()

    def join(self, timeout: timedelta) -> bool:
        """Wait for the thread to end; False if it has not within `timeout`."""
        if self._thread.ident is None:
            return True
        self._thread.join(timeout.total_seconds())
        return not self._thread.is_alive()

    @property
    def thread_name(self) -> str:
        return self._thread.name

    def __repr__(self) -> str:
        state = "cancelled" if self._cancelled else "running" if self._thread.is_alive() else "not running"
        return f"<ThreadProducer {self._thread.name}: {state}, demand {self._requested}>"

    # --- the function: the thread only, save where noted ---------------------------------------

    @property
    def cancelled(self) -> bool:
        """Whether nothing more is wanted; any thread."""
        return self._cancelled

    @property
    def requested(self) -> int:
        """Records that may be emitted now; any thread."""
        return self._requested

    def wait_demand(self) -> int:
        """Wait until records are wanted; return how many, or 0 after a cancel."""
        self.wait_until(lambda: self._requested > 0)
        return 0 if self._cancelled else self._requested

    def wait_until(
        self, ready: Callable[[], bool], wait: Callable[[threading.Condition], None] | None = None
    ) -> bool:
        """Wait until `ready()`, which is looked at holding `condition`; False after a cancel.

        Args:
            ready: whether there is something to do.
            wait: waits on the held condition, for as long as nothing can become ready by time alone;
                None for until it is notified.

        Raises:
            ValueError: the subscriber broke rule 3.9; let it through, it ends the stream.
        """
        with self.condition:
            while not (ready() or self._cancelled or self._violation is not None):
                self._wait(wait or _until_notified)
        if self._cancelled:
            return False
        if self._violation is not None:
            raise self._violation
        return True

    def next_batch(self, values: Records[T]) -> None:
        """Emit records that were requested.

        Raises:
            InternalError: they are more than were requested (rule 1.1); none was emitted.
            Interrupted: the stream was cancelled.
        """
        count = len(values)
        with self._lock:
            downstream = self._downstream
            if count > self._requested:
                raise InternalError(f"rule 1.1: {count} records emitted, {self._requested} requested")
            self._requested = produced(self._requested, count)
        downstream.on_next_batch(values)

    def control(self, element: object) -> None:
        """Emit a control element; it needs no demand.

        Raises:
            Interrupted: the stream was cancelled.
        """
        self._downstream.on_control(element)

    def _wait(self, wait: Callable[[threading.Condition], object]) -> None:
        self._waits = True
        try:
            wait(self.condition)
        finally:
            self._waits = False

    @property
    def _downstream(self) -> BatchSubscriber[T]:
        subscriber = self._subscriber
        if subscriber is None:
            raise Interrupted
        return subscriber

    def _main(self) -> None:
        try:
            error = self._ending()
        except Interrupted:
            self._subscriber = None
            return
        subscriber, self._subscriber = self._subscriber, None  # rule 3.13
        if subscriber is None:
            return  # cancelled
        if error is None:
            subscriber.on_completed()
        else:
            subscriber.on_error(error)

    def _ending(self) -> Exception | None:
        """Run the function; return what ends the stream with an error, None for its completion."""
        try:
            self._run(self)
        except Interrupted:
            raise
        except BaseException as error:  # noqa: BLE001 - the stream's end carries it
            return self._violation or as_exception(error)
        return self._violation


def _until_notified(condition: threading.Condition, seconds: float | None = None) -> None:
    condition.wait(seconds)


class _NoSubscription:
    """What a subscriber holds that was refused."""

    def request(self, n: int) -> None:
        """Nothing will come."""

    def cancel(self) -> None:
        """Nothing is running."""
