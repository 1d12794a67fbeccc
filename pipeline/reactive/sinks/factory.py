"""The sinks there are, by what they do with records that are not wanted yet."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from reactivex import abc

from pipeline.reactive.inbox import PREFETCH
from pipeline.reactive.sinks.multicast import AllOrNothingSink, BestEffortSink, BufferedMulticastSink
from pipeline.reactive.sinks.replay import ReplaySink
from pipeline.reactive.sinks.sink import Sink
from pipeline.reactive.sinks.unicast import UnicastSink


class Sinks:
    """Makes streams that are fed by hand.

    Example:
        >>> sink = Sinks.unicast()
        >>> sink.try_emit_next("a")
        <EmitResult.OK: 1>
        >>> sink.flux.subscribe(print).dispose()
        a
    """

    @staticmethod
    def unicast(buffer_size: int | None = None, on_end: Callable[[], object] | None = None) -> Sink[Any]:
        """One subscriber, for whom up to `buffer_size` records wait, None for any number."""
        if buffer_size == 0:
            raise ValueError("buffer_size must be at least 1; see unicast_on_backpressure_error")
        return UnicastSink(buffer_size, on_end)

    @staticmethod
    def unicast_on_backpressure_error() -> Sink[Any]:
        """One subscriber, and nothing waits: what it has not asked for overflows."""
        return UnicastSink(0)

    @staticmethod
    def multicast(buffer_size: int = PREFETCH, auto_cancel: bool = True) -> Sink[Any]:
        """All subscribers, at the pace of the slowest; up to `buffer_size` records wait for it."""
        return BufferedMulticastSink(buffer_size, auto_cancel)

    @staticmethod
    def multicast_all_or_nothing() -> Sink[Any]:
        """All subscribers; what one of them has no room for overflows, and nobody gets it."""
        return AllOrNothingSink()

    @staticmethod
    def multicast_best_effort() -> Sink[Any]:
        """All subscribers that have room; the others miss it."""
        return BestEffortSink()

    @staticmethod
    def replay_all() -> Sink[Any]:
        """All subscribers, each from the first record on."""
        return ReplaySink()

    @staticmethod
    def replay_latest() -> Sink[Any]:
        """All subscribers, each from the latest record on."""
        return ReplaySink(limit=1)

    @staticmethod
    def replay_limit(
        limit: int | None = None, age: timedelta | None = None, scheduler: abc.SchedulerBase | None = None
    ) -> Sink[Any]:
        """All subscribers, each from `limit` records back at most, and no older than `age`.

        Args:
            limit: records; None for any number.
            age: by the clock of `scheduler`.
        """
        return ReplaySink(limit, age, scheduler)
