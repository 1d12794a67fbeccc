"""Ask for everything and keep what downstream does not want now, up to a bound in number or age."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.scheduler import TimeoutScheduler

from pipeline.reactive.flux import Flux
from pipeline.reactive.intake import Bound, BufferOverflowStrategy, Intake, Keep, ignore
from pipeline.reactive.operators.absorbing import Absorbing, absorbing
from pipeline.reactive.operators.aging import Aging

T = TypeVar("T")


def on_backpressure_buffer(
    buffer_size: int | None = None,
    on_overflow: Callable[[T], object] | None = None,
    strategy: BufferOverflowStrategy | str | None = None,
    ttl: timedelta | None = None,
    *,
    scheduler: abc.SchedulerBase | None = None,
) -> Callable[[Observable[T]], Flux[T]]:
    """Ask for everything and keep what downstream does not want now.

    An upstream error is emitted after the kept records; with a strategy that drops, and no callback, it
    comes at once.

    Args:
        buffer_size: records; None for as many as there are.
        on_overflow: called with each record that finds no room, is replaced or grows too old; what it
            raises ends the stream, after the kept records.
        strategy: which record is dropped. The default is ERROR: the stream ends with
            `BackpressureOverflow` after the kept records.
        ttl: records that have waited so long are given up, and so is the oldest of a full buffer.
        scheduler: tells the time for `ttl`.

    Raises:
        ValueError: `buffer_size` or `ttl` is not positive, or arguments contradict each other.
    """
    if buffer_size is not None and buffer_size < 1:
        raise ValueError(f"buffer_size must be at least 1, not {buffer_size}")
    if buffer_size is None and strategy is not None:
        raise ValueError("a strategy needs a buffer_size: an unbounded buffer never overflows")
    told = on_overflow or ignore
    if ttl is not None:
        if ttl <= timedelta(0):
            raise ValueError(f"ttl must be positive, not {ttl}")
        if strategy not in {None, BufferOverflowStrategy.DROP_OLDEST}:
            raise ValueError("with a ttl the oldest record is dropped: leave out strategy")
        clock = scheduler or TimeoutScheduler.singleton()
        return absorbing(lambda downstream: Aging(downstream, ttl, buffer_size, told, clock))
    chosen = BufferOverflowStrategy(strategy or BufferOverflowStrategy.ERROR)
    error_waits = on_overflow is not None or chosen is BufferOverflowStrategy.ERROR

    def intake() -> Intake[Any]:
        return Keep() if buffer_size is None else Bound(buffer_size, told, chosen)

    return absorbing(lambda downstream: Absorbing(downstream, intake(), error_waits=error_waits))
