"""Hand records over to a scheduler, with a bounded queue between the threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from pipeline.reactive.drain import ScheduledDrain
from pipeline.reactive.emission import Emission
from pipeline.reactive.flux import Flux
from pipeline.reactive.inbox import PREFETCH, Inbox, validate_prefetch
from pipeline.reactive.operators.base import flux_of
from pipeline.reactive.subscriber import Subscriber

T = TypeVar("T")


def publish_on(scheduler: abc.SchedulerBase, prefetch: int = PREFETCH) -> Callable[[Observable[T]], Flux[T]]:
    """Run everything downstream on `scheduler`, while upstream stays where it is.

    An error is emitted after the records before it. Consecutive waiting records are emitted
    together to a subscriber that takes batches.

    Args:
        scheduler: one that keeps a thread (`Worker`, EventLoopScheduler, ThreadPoolScheduler); one that
            starts a thread for each piece of work does so each time that the queue has run empty. What
            it refuses to run ends the stream with its error.
        prefetch: records that may wait; three quarters of it are asked for again at a time.

    Example:
        >>> from pipeline.reactive import from_iterable
        >>> from reactivex.scheduler import ImmediateScheduler
        >>> from_iterable([1, 2]).pipe(publish_on(ImmediateScheduler())).subscribe(print).dispose()
        1
        2
    """
    validate_prefetch("prefetch", prefetch)

    def published(source: Observable[T]) -> Flux[T]:
        upstream = flux_of("publish_on", source)

        def connect(subscriber: Subscriber[T]) -> None:
            hand_over = _PublishOn(subscriber, scheduler, prefetch)
            subscriber.on_subscribe(hand_over)
            upstream.connect(hand_over.inbox)

        return Flux(connect)

    return published


class _PublishOn(Emission[T]):
    def __init__(self, downstream: Subscriber[T], scheduler: abc.SchedulerBase, prefetch: int) -> None:
        super().__init__(downstream)
        self._drain = ScheduledDrain(self._turn, scheduler, self._rejected)
        self.inbox = Inbox[T](prefetch, self._drain)

    def _emit(self, downstream: Subscriber[T]) -> None:
        inbox, demand = self.inbox, self._demand
        while not self.done and (handed := inbox.hand_on(downstream, demand.left)):
            demand.produced(handed)
        if inbox.ended and not self.done:
            self._end_with(inbox.error)

    def _rejected(self, error: Exception) -> None:
        if not self.done:
            error.__cause__ = self.inbox.error
            self._fail(error)
        self._clear()

    def _cancelled(self) -> None:
        self.inbox.cancel()

    def _clear(self) -> None:
        self.inbox.clear()
