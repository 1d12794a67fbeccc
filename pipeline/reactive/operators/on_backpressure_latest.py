"""Ask for everything and keep only the newest of what downstream does not want now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import Observable

from pipeline.reactive.flux import Flux
from pipeline.reactive.intake import Latest
from pipeline.reactive.operators.absorbing import Absorbing, absorbing


def on_backpressure_latest() -> Callable[[Observable[Any]], Flux[Any]]:
    """Ask for everything and keep only the newest of what downstream does not want now.

    The completion waits until that one is consumed; an error does not, and discards it.
    """
    return absorbing(lambda downstream: Absorbing[Any](downstream, Latest[Any](), error_waits=False))
