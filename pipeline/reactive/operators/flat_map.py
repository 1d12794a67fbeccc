"""Make a stream of each record, and run several of them side by side as one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import length_hint
from typing import Generic, TypeVar, cast

from reactivex import Observable

from pipeline.reactive import hooks
from pipeline.reactive.demand import MAX_BATCH, UNBOUNDED, low_tide
from pipeline.reactive.emission import Emission
from pipeline.reactive.flag import Flag
from pipeline.reactive.flux import Flux
from pipeline.reactive.inbox import PREFETCH, SMALL_PREFETCH, Inbox, validate_prefetch
from pipeline.reactive.operators.base import flux_of
from pipeline.reactive.sources.iterable import IterableFlux
from pipeline.reactive.subscriber import Records, Subscriber, Subscription, refuse_null, refuse_nulls

T = TypeVar("T")
R = TypeVar("R")


def flat_map(
    function: Callable[[T], Observable[R] | Iterable[R]],
    concurrency: int = PREFETCH,
    prefetch: int = SMALL_PREFETCH,
) -> Callable[[Observable[T]], Flux[R]]:
    """Emit the records of the streams that `function` returns, as they come.

    Records of one inner stream keep their order. An error of any of them ends it all, at once.

    Args:
        function: returns a Flux or something to iterate over. The latter, and `from_iterable` of it,
            need no subscription and are many times faster. What it raises ends the stream.
        concurrency: inner streams that run at a time; as many records of the source are asked for.
        prefetch: records asked for ahead of each inner Flux.

    Example:
        >>> from pipeline.reactive import from_iterable
        >>> from_iterable([1, 2]).pipe(flat_map(lambda n: [n] * n)).subscribe(print).dispose()
        1
        2
        2
    """
    validate_prefetch("concurrency", concurrency)
    validate_prefetch("prefetch", prefetch)

    def flattened(source: Observable[T]) -> Flux[R]:
        upstream = flux_of("flat_map", source)

        def connect(subscriber: Subscriber[R]) -> None:
            operator = _FlatMap(subscriber, function, concurrency, prefetch)
            subscriber.on_subscribe(operator)
            upstream.connect(operator)

        return Flux(connect)

    return flattened


class _FlatMap(Emission[R], Generic[T, R]):
    """To upstream the subscriber, to downstream the subscription.

    An inner stream that may have something is in `_ready`; a turn looks at
    each of those once and puts those back that have more. So a signal costs the same however many
    inner streams there are.
    """

    def __init__(
        self,
        downstream: Subscriber[R],
        function: Callable[[T], Observable[R] | Iterable[R]],
        concurrency: int,
        prefetch: int,
    ) -> None:
        super().__init__(downstream)
        self._function = function
        self._prefetch = prefetch
        self._upstream: Subscription | None = None
        self._slots = _Slots(concurrency)
        self._ready: deque[_Inner[R]] = deque()
        self._subscribed: set[_Subscribed[R]] = set()
        self._upstream_ended = False
        self._error: Exception | None = None

    # --- to upstream: a subscriber ----------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        refuse_null(subscription, "on_subscribe")
        if self._upstream is not None:  # rule 2.5
            subscription.cancel()
            return
        self._upstream = subscription
        if self.done:
            subscription.cancel()
        else:
            subscription.request(self._slots.first())

    def on_next(self, value: T, /) -> None:
        refuse_null(value, "on_next")
        if self.done or self._upstream_ended:
            hooks.dropped(value)
            return
        self._slots.received += 1
        try:
            inner = _opened(self._function(value))
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self._error = error
        else:
            if isinstance(inner, list):
                self._ready.append(_Listed(inner, 1))
            else:
                self._run(inner)
        self._drain()

    def on_next_batch(self, values: Records[T]) -> None:
        """Take several: results that are lists already are concatenated, as one inner stream."""
        if self.done or self._upstream_ended:
            for value in values:
                hooks.dropped(value)
            return
        failure: Exception | None = None
        at_hand: list[R] = []
        lists = 0
        for value in values:
            self._slots.received += 1
            try:
                inner = _opened(self._function(value))
            except Exception as error:  # noqa: BLE001 - as above; what came before it is still good
                failure = error
                break
            if isinstance(inner, list):
                at_hand.extend(inner)
                lists += 1
            else:
                if lists:
                    self._ready.append(_Listed(at_hand, lists))
                    at_hand, lists = [], 0
                self._run(inner)
        if lists:
            self._ready.append(_Listed(at_hand, lists))
        self._drain()
        if failure is not None:
            self._error = failure
            self._drain()

    def on_control(self, element: object) -> None:
        """Control elements have no place among streams that run side by side."""

    def on_error(self, error: Exception) -> None:
        refuse_null(error, "on_error")
        if self.done or self._upstream_ended:
            hooks.dropped_error(error)
            return
        self._error = error
        self._upstream_ended = True
        self._drain()

    def on_completed(self) -> None:
        self._upstream_ended = True
        self._drain()

    def _run(self, inner: Iterator[R] | Flux[R]) -> None:
        if isinstance(inner, Flux):
            running = _Subscribed[R](self._prefetch, self._wake)
            self._subscribed.add(running)
            inner.connect(running)
        else:
            self._ready.append(_Iterated(inner))

    def _wake(self, inner: _Subscribed[R]) -> None:
        if inner.enter():
            self._ready.append(inner)
        self._drain()

    # --- to downstream: turns ---------------------------------------------------------------------

    def _emit(self, downstream: Subscriber[R]) -> None:
        ready = self._ready
        for _ in range(len(ready)):
            if self._error is not None:
                break
            inner = ready.popleft()
            inner.leave()
            if self._hand_on(inner, downstream) and inner.enter():
                ready.append(inner)
            if self._downstream is not downstream:
                return
        if self._error is not None:
            self._fail(self._error)
        elif self._upstream_ended and self._slots.all_ended:
            self._end_with(None)
        else:
            more = self._slots.due(patient=not self._subscribed)
            if more and self._upstream is not None:
                self._upstream.request(more)
            if ready and self._demand.left > 0:
                self._drain()  # another turn: one inner stream is not to hold up the others

    def _hand_on(self, inner: _Inner[R], downstream: Subscriber[R]) -> bool:
        """Emit some of what it has; return whether it may have more."""
        left = self._demand.left
        values = inner.take(min(MAX_BATCH, left)) if left > 0 else None
        if values is not None:
            self._demand.produced(len(values))
            if len(values) == 1:
                downstream.on_next(values[0])
            else:
                downstream.on_next_batch(values)
            inner.consumed(values)
        if not inner.ended:
            return inner.buffered > 0
        if not inner.enter():  # permanently; its last signal may have queued it again meanwhile
            return False
        if inner.error is not None:
            self._error = inner.error
        self._slots.free(inner.streams)
        if isinstance(inner, _Subscribed):
            self._subscribed.discard(inner)
        return False

    def _cancelled(self) -> None:
        if self._upstream is not None and not self._upstream_ended:  # rule 2.3
            self._upstream.cancel()
        for inner in list(self._subscribed):
            inner.cancel()

    def _clear(self) -> None:
        while self._subscribed:
            inner = self._subscribed.pop()
            inner.cancel()
            inner.clear()
        while self._ready:
            self._ready.popleft().clear()


class _Slots:
    """How many inner streams may run, and so how many records of the source are asked for.

    Attributes:
        received: records of the source so far; counted by upstream's calls, all else in a turn.
    """

    def __init__(self, concurrency: int) -> None:
        self.received = 0
        self._concurrency = concurrency
        self._asked = 0
        self._ended = 0
        self._freed = 0

    @property
    def all_ended(self) -> bool:
        """Whether no inner stream runs."""
        return self._ended == self.received

    def first(self) -> int:
        """Return what to ask for at first."""
        self._asked = self._concurrency
        return self._concurrency

    def free(self, streams: int) -> None:
        """Count inner streams that have ended."""
        self._ended += streams
        self._freed += streams

    def due(self, *, patient: bool) -> int:
        """Return how many records to ask for now, as many as streams have ended since it was asked last.

        Args:
            patient: wait until several have ended, unless none is owed to us.
        """
        idle = self._asked <= self.received
        if patient and not idle and self._freed < low_tide(self._concurrency):
            return 0
        freed, self._freed = self._freed, 0
        if self._asked == UNBOUNDED:
            return 0
        self._asked += freed
        return freed


def _opened(inner: Observable[R] | Iterable[R]) -> list[R] | Iterator[R] | Flux[R]:
    """Return how to consume the result of flat_map's function: take it, read it or subscribe to it."""
    if isinstance(inner, (list, tuple)):  # first: the check for an Observable takes a microsecond
        refuse_nulls(inner, "an inner stream of flat_map")
        return inner if isinstance(inner, list) else list(inner)
    if _is_short_range(inner):
        return list(cast("Iterable[R]", inner))
    if isinstance(inner, IterableFlux):
        return _opened(inner.iterable)
    if isinstance(inner, Observable):
        return flux_of("flat_map's function", inner)
    refuse_null(inner, "what flat_map's function returns")
    return iter(inner)


def _is_short_range(inner: object) -> bool:
    return isinstance(inner, range) and len(inner) <= MAX_BATCH


class _Subscribed(Inbox[R]):
    """An inner stream that sends what it has."""

    streams = 1

    def __init__(self, prefetch: int, wake: Callable[[_Subscribed[R]], None]) -> None:
        super().__init__(prefetch, self._wake_operator)
        self._wake = wake
        self._in_row = Flag()

    def enter(self) -> bool:
        """Return whether it is to be put into the row of those that have something: it is not there yet."""
        return self._in_row.set()

    def leave(self) -> None:
        """Say that it has been taken out of the row."""
        self._in_row.clear()

    def _wake_operator(self) -> None:
        self._wake(self)


class _AtHand(Generic[R]):
    """An inner stream that is looked at in turns only."""

    error: Exception | None = None
    streams = 1

    def enter(self) -> bool:
        return True

    def leave(self) -> None:
        """Nobody else could put it into the row."""

    def consumed(self, values: Records[R]) -> None:
        """Nobody is to be asked for more."""


class _Listed(_AtHand[R]):
    """The records of one or more inner streams, all there."""

    def __init__(self, values: list[R], streams: int) -> None:
        self._values = values
        self._position = 0
        self.streams = streams
        self.ended = not values

    @property
    def buffered(self) -> int:
        return len(self._values) - self._position

    def take(self, limit: int) -> list[R] | None:
        values, start = self._values, self._position
        if start == 0 and limit >= len(values):  # mostly
            self._position = len(values)
            self.ended = True
            return values or None
        values = values[start : start + limit]
        self._position += len(values)
        self.ended = self._position == len(self._values)
        return values or None

    def clear(self) -> None:
        hooks.discarded(*self._values[self._position :])


class _Iterated(_AtHand[R]):
    """An inner stream that is made as it is read."""

    buffered = 1  # as far as anybody knows

    def __init__(self, iterator: Iterator[R]) -> None:
        self._iterator = iterator
        self.ended = length_hint(iterator, 1) == 0

    def take(self, limit: int) -> list[R] | None:
        """Read up to `limit`, but one at a time from what may have to make each first."""
        hint = length_hint(self._iterator, 0)
        values: list[R] = []
        try:
            values.extend(islice(self._iterator, min(limit, max(hint, 1))))
            refuse_nulls(values, "an inner stream of flat_map")
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self.error = error
        self.ended = self.error is not None or not values or (hint > 0 and hint == len(values))
        return values or None

    def clear(self) -> None:
        """What has not been read is not lost."""


_Inner = _Listed[R] | _Iterated[R] | _Subscribed[R]
"""An inner stream, wherever its records are."""
