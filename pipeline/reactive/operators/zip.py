"""The first records of several streams together, then the second ones, and so on."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from reactivex import Observable

from pipeline.reactive.demand import MAX_BATCH
from pipeline.reactive.emission import Emission
from pipeline.reactive.flux import Flux
from pipeline.reactive.inbox import SMALL_PREFETCH, Inbox, validate_prefetch
from pipeline.reactive.operators.base import flux_of
from pipeline.reactive.subscriber import Subscriber


def zip(  # noqa: A001 - the name in Rx
    *others: Observable[Any], prefetch: int = SMALL_PREFETCH
) -> Callable[[Observable[Any]], Flux[tuple[Any, ...]]]:
    """Make tuples of one record of each stream.

    It completes as soon as one of them has no more to give; an error of any of them ends it at once.

    Args:
        others: follow the source in each tuple.
        prefetch: records asked for ahead of each.

    Example:
        >>> from pipeline.reactive import from_iterable
        >>> from_iterable([1, 2]).pipe(zip(from_iterable("ab"))).subscribe(print).dispose()
        (1, 'a')
        (2, 'b')
    """
    validate_prefetch("prefetch", prefetch)

    def zipped(source: Observable[Any]) -> Flux[tuple[Any, ...]]:
        streams = [flux_of("zip", stream) for stream in (source, *others)]
        return Flux(lambda subscriber: _Zip(subscriber, len(streams), prefetch).begin(streams))

    return zipped


class _Zip(Emission[tuple[Any, ...]]):
    def __init__(self, downstream: Subscriber[tuple[Any, ...]], streams: int, prefetch: int) -> None:
        super().__init__(downstream)
        self._inboxes = [Inbox[Any](prefetch, self._drain) for _ in range(streams)]

    def begin(self, streams: list[Flux[Any]]) -> None:
        """Give downstream its subscription, then subscribe to each stream."""
        self._downstream.on_subscribe(self)
        for stream, inbox in builtins.zip(streams, self._inboxes, strict=True):
            if self.done:  # cancelled, or one of them was empty
                return
            stream.connect(inbox)

    def _emit(self, downstream: Subscriber[tuple[Any, ...]]) -> None:
        while not self.done:
            error = next((inbox.error for inbox in self._inboxes if inbox.error is not None), None)
            if error is not None:
                self._fail(error)
                return
            if any(inbox.ended for inbox in self._inboxes):
                self._cancelled()
                self._end_with(None)
                return
            several = min(self._demand.left, MAX_BATCH, *(inbox.next_records for inbox in self._inboxes))
            if several == 0:
                return
            self._hand_on(downstream, several)

    def _hand_on(self, downstream: Subscriber[tuple[Any, ...]], several: int) -> None:
        taken = [inbox.take(several) for inbox in self._inboxes]
        tuples = list(builtins.zip(*taken, strict=True))
        self._demand.produced(several)
        if several == 1:
            downstream.on_next(tuples[0])
        else:
            downstream.on_next_batch(tuples)
        for inbox, values in builtins.zip(self._inboxes, taken, strict=True):
            inbox.consumed(values)

    def _cancelled(self) -> None:
        for inbox in self._inboxes:
            inbox.cancel()

    def _clear(self) -> None:
        for inbox in self._inboxes:
            inbox.clear()
