"""Each operator of `pipeline.reactive` as the schedules drive it: how it is made, and what it promises."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pipeline import reactive
from pipeline.reactive import BufferOverflowStrategy, Flux

from .origins import SINKS, SOURCES
from .world import Kind, World

PREFETCH = 4


def same(value: Any) -> Any:
    return value


def members(output: Any) -> Any:
    """Return the records in a list or a tuple; one that was lost comes by itself."""
    return output if isinstance(output, (list, tuple)) else (output,)


def with_others(operator: Callable[..., Any], streams: int, **options: Any) -> Callable[[World], Any]:
    """Make an operator over several sources of the world."""
    return lambda world: operator(*(Flux(source.connect) for source in world.sources[1:streams]), **options)


OPERATORS = {
    "map": Kind(lambda _: reactive.map(same)),
    "map of map": Kind(lambda _: lambda source: reactive.map(same)(reactive.map(same)(source))),
    "filter": Kind(lambda _: reactive.filter(same)),
    "take": Kind(lambda _: reactive.take(7), loses=True),
    "limit_rate": Kind(lambda _: reactive.limit_rate(PREFETCH), holds=PREFETCH),
    "limit_rate low": Kind(lambda _: reactive.limit_rate(PREFETCH, 1), holds=PREFETCH),
    "on_backpressure_buffer": Kind(lambda _: reactive.on_backpressure_buffer(), holds=None),
    "on_backpressure_buffer bounded": Kind(
        lambda world: reactive.on_backpressure_buffer(3, world.drop), holds=3, loses=True, overflows=True
    ),
    **{
        f"on_backpressure_buffer {strategy}": Kind(
            lambda world, strategy=strategy: reactive.on_backpressure_buffer(3, world.drop, strategy),
            holds=3,
            loses=True,
            overflows=strategy is BufferOverflowStrategy.ERROR,
        )
        for strategy in BufferOverflowStrategy
    },
    "on_backpressure_buffer aging": Kind(
        lambda world: reactive.on_backpressure_buffer(
            3, world.drop, ttl=timedelta(milliseconds=2), scheduler=world.scheduler
        ),
        holds=3,
        loses=True,
    ),
    "on_backpressure_drop": Kind(lambda world: reactive.on_backpressure_drop(world.drop), loses=True),
    "on_backpressure_latest": Kind(lambda _: reactive.on_backpressure_latest(), holds=1, loses=True),
    "on_backpressure_error": Kind(lambda _: reactive.on_backpressure_error(), loses=True, overflows=True),
    "publish_on": Kind(lambda world: reactive.publish_on(world.scheduler, PREFETCH), holds=PREFETCH),
    "subscribe_on": Kind(lambda world: reactive.subscribe_on(world.scheduler)),
    "buffer_timeout": Kind(
        lambda world: reactive.buffer_timeout(3, timedelta(milliseconds=2), world.scheduler),
        holds=None,
        records=members,
    ),
    "flat_map of lists": Kind(
        lambda _: reactive.flat_map(lambda n: [n], PREFETCH), holds=PREFETCH, ordered=False
    ),
    "flat_map of streams": Kind(
        lambda world: reactive.flat_map(
            lambda n: reactive.from_iterable([n]).pipe(reactive.subscribe_on(world.scheduler)), PREFETCH, 2
        ),
        holds=PREFETCH,
        ordered=False,
        whole=False,
    ),
    "merge": Kind(with_others(reactive.merge, 3, prefetch=PREFETCH), holds=3 * PREFETCH, streams=3),
    "concat": Kind(with_others(reactive.concat, 2), streams=2),
    "zip": Kind(
        with_others(reactive.zip, 2, prefetch=PREFETCH),
        holds=2 * PREFETCH,
        loses=True,
        records=members,
        streams=2,
    ),
    "retry_when": Kind(lambda _: reactive.retry_when(lambda errors: errors.pipe(reactive.map(same)))),
}

KINDS = {**OPERATORS, **SOURCES, **SINKS}
