"""Let callbacks into a stream: `create` and `push`, with a strategy for what nobody asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import hooks
from pipeline.reactive.demand import UNBOUNDED, add_cap
from pipeline.reactive.drain import Drain
from pipeline.reactive.flux import Flux
from pipeline.reactive.intake import INTAKES, OverflowStrategy
from pipeline.reactive.outbox import Outbox
from pipeline.reactive.subscriber import Records, Subscriber, refuse_null, refuse_nulls

T = TypeVar("T")


def create(
    emitter: Callable[[FluxSink[T]], object], overflow: OverflowStrategy | str = OverflowStrategy.BUFFER
) -> Flux[T]:
    """Make a stream of what `emitter` puts into its sink, from any number of threads.

    Args:
        emitter: called with the sink of each subscriber, in the thread that subscribes. What it raises
            ends the stream.
        overflow: what is done with records beyond demand.

    Example:
        >>> def emitter(sink):
        ...     sink.next("a").next("b").complete()
        >>> create(emitter).subscribe(print).dispose()
        a
        b
    """
    strategy = OverflowStrategy(overflow)
    return Flux(lambda subscriber: FluxSink(subscriber, strategy).run(emitter))


def push(
    emitter: Callable[[FluxSink[T]], object], overflow: OverflowStrategy | str = OverflowStrategy.BUFFER
) -> Flux[T]:
    """Make a stream of what one thread puts into the sink, whatever is asked for: see `create`.

    The difference is in `on_request`: it is called once, for everything.
    """
    strategy = OverflowStrategy(overflow)
    return Flux(lambda subscriber: FluxSink(subscriber, strategy, pulls=False).run(emitter))


class FluxSink(Generic[T]):
    """Where an emitter puts records for one subscriber.

    Args:
        downstream: the subscriber.
        overflow: what is done with records beyond demand.
        pulls: whether `on_request` is called for each request, or once for everything.
    """

    def __init__(self, downstream: Subscriber[T], overflow: OverflowStrategy, *, pulls: bool = True) -> None:
        self._overflow = overflow
        self._pulls = pulls
        self._intake = INTAKES[overflow]()
        self._requests = _Requests(self.error)
        self._endings = _Endings()
        self._outbox = Outbox(
            downstream,
            on_cancel=self._endings.cancel,
            on_request=self._requests.add if pulls else _unheard,
            on_end=self._endings.end,
            keeps_demand=overflow is not OverflowStrategy.IGNORE,
        )

    def run(self, emitter: Callable[[FluxSink[T]], object]) -> None:
        """Subscribe, then let the emitter begin."""
        self._outbox.begin()
        try:
            emitter(self)
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self.error(error)

    # --- signals: any thread ---------------------------------------------------------------------------

    def next(self, value: T) -> FluxSink[T]:
        """Give a record.

        Raises:
            TypeError: it is None (rule 2.13).
        """
        refuse_null(value, "next")
        if self._outbox.closed:
            self._late(value)
            return self
        try:
            self._intake.take(self._outbox, value)
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self._raised(error)
        return self

    def next_batch(self, values: Records[T]) -> FluxSink[T]:
        """Emit several records, together as far as they are requested.

        Raises:
            TypeError: one of them is None (rule 2.13).
        """
        refuse_nulls(values, "next_batch")
        if self._outbox.closed:
            for value in values:
                self._late(value)
            return self
        try:
            self._intake.take_all(self._outbox, values)
        except Exception as error:  # noqa: BLE001 - as above
            self._raised(error)
        return self

    def error(self, error: Exception) -> None:
        """End the stream with an error, after the waiting records."""
        refuse_null(error, "error")
        if self._outbox.closed:
            hooks.dropped_error(error)
            return
        self._outbox.end(error)

    def complete(self) -> None:
        """End the stream, after the waiting records."""
        if not self._outbox.closed:
            self._outbox.end()

    # --- what is wanted: any thread --------------------------------------------------------------------

    @property
    def requested_from_downstream(self) -> int:
        """Records that the subscriber wants and has not been handed."""
        return self._outbox.requested

    @property
    def is_cancelled(self) -> bool:
        """Whether the subscriber cancelled before the end."""
        return self._endings.cancelled

    def on_request(self, callback: Callable[[int], object]) -> FluxSink[T]:
        """Call `callback` with what is asked for: at once with what has been, then with each request.

        Requests that come while it runs are added up: it is not called while it runs.

        Raises:
            RuntimeError: there is one already.
        """
        self._requests.hear(callback, UNBOUNDED if not self._pulls else -self._outbox.emitted)
        return self

    def on_cancel(self, callback: Callable[[], object]) -> FluxSink[T]:
        """Call `callback` when the subscriber cancels; at once if it has, or if there is one already."""
        self._endings.on_cancel(callback)
        return self

    def on_dispose(self, callback: Callable[[], object]) -> FluxSink[T]:
        """Call `callback` at any end; at once if it has come, or if there is one already."""
        self._endings.on_dispose(callback)
        return self

    def __repr__(self) -> str:
        return f"FluxSink({self._overflow.value})"

    def _late(self, value: T) -> None:
        if self._outbox.ended:
            hooks.dropped(value)
        else:
            hooks.discarded(value)

    def _raised(self, error: Exception) -> None:
        if self._outbox.done:
            if isinstance(error, BackpressureOverflow):
                return  # the subscriber has left meanwhile: nobody misses the record
            raise error  # by a subscriber that had cancelled: an observer that has no use for errors
        self.error(error)


def _unheard(_: int) -> None:
    """What is pushed is not asked for."""


class _Requests:
    """Tells one callback of requests, one call at a time; none that comes early or meanwhile is lost."""

    def __init__(self, on_error: Callable[[Exception], None]) -> None:
        self._on_error = on_error
        self._lock = threading.Lock()
        self._untold = 0
        self._callback: Callable[[int], object] | None = None
        self._drain = Drain(self._tell)

    def add(self, n: int) -> None:
        with self._lock:
            self._untold = add_cap(self._untold, n)
        self._drain()

    def hear(self, callback: Callable[[int], object], already: int) -> None:
        """Set the callback; `already` is added to its first argument."""
        with self._lock:
            if self._callback is not None:
                raise RuntimeError("a sink has one on_request callback, which is already set")
            self._callback = callback
            if self._untold != UNBOUNDED:
                self._untold = add_cap(self._untold, already)
        self._drain()

    def _tell(self) -> None:
        with self._lock:
            callback = self._callback
            untold = self._untold
            if callback is not None and untold > 0:
                self._untold = 0
        if callback is not None and untold > 0:
            try:
                callback(untold)
            except Exception as error:  # noqa: BLE001 - the stream's end carries it
                self._on_error(error)


class _Endings:
    """Runs the callbacks for a cancel and for any end, each once and at the right time."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._on_cancel: Callable[[], object] | None = None
        self._on_dispose: Callable[[], object] | None = None
        self._ended = False
        self.cancelled = False

    def on_cancel(self, callback: Callable[[], object]) -> None:
        with self._lock:
            keep = not self._ended and self._on_cancel is None
            if keep:
                self._on_cancel = callback
            now = not keep and (self.cancelled or not self._ended)
        if now:
            _run(callback)

    def on_dispose(self, callback: Callable[[], object]) -> None:
        with self._lock:
            keep = not self._ended and self._on_dispose is None
            if keep:
                self._on_dispose = callback
        if not keep:
            _run(callback)

    def cancel(self) -> None:
        with self._lock:
            self.cancelled = self.cancelled or not self._ended
        self.end()

    def end(self) -> None:
        with self._lock:
            self._ended = True
            callbacks = (self._on_cancel if self.cancelled else None, self._on_dispose)
            self._on_cancel = self._on_dispose = None
        for callback in callbacks:
            if callback is not None:
                _run(callback)


def _run(callback: Callable[[], object]) -> None:
    """Run a callback that must not keep a cancel from completing (rule 3.15)."""
    try:
        callback()
    except Exception as error:  # noqa: BLE001 - no stream is left to carry it
        hooks.dropped_error(error)
