"""Ask for everything and drop what downstream does not want now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable

from pipeline.reactive.flux import Flux
from pipeline.reactive.intake import Drop, give_up, ignore
from pipeline.reactive.operators.absorbing import Absorbing, absorbing
from pipeline.reactive.subscriber import Subscriber

T = TypeVar("T")


def on_backpressure_drop(
    on_drop: Callable[[T], object] | None = None,
) -> Callable[[Observable[T]], Flux[T]]:
    """Ask for everything and drop what downstream does not want now.

    Args:
        on_drop: called with each dropped record; what it raises ends the stream.
    """
    return absorbing(lambda downstream: _Drop(downstream, on_drop or ignore))


class _Drop(Absorbing[T]):
    def __init__(self, downstream: Subscriber[T], on_drop: Callable[[Any], object]) -> None:
        super().__init__(downstream, Drop(on_drop))
        self._on_drop = on_drop

    def _late(self, value: T) -> None:
        give_up(value, self._on_drop)  # it is dropped like any other that nobody wants
