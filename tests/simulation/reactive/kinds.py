"""Each operator of `pipeline.reactive` as the schedules drive it: how it is made, and what it promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline import reactive
from pipeline.reactive import Flux

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


KINDS = {
    "map": Kind(lambda _: reactive.map(same)),
    "filter": Kind(lambda _: reactive.filter(same)),
}
