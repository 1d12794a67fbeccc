"""Ask for everything and end with an error at the first record that downstream does not want now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reactivex import Observable

from pipeline.reactive.flux import Flux
from pipeline.reactive.intake import Fail
from pipeline.reactive.operators.absorbing import Absorbing, absorbing


def on_backpressure_error() -> Callable[[Observable[Any]], Flux[Any]]:
    """Ask for everything; a record that downstream does not want now ends the stream.

    The error is `BackpressureOverflow`, and upstream is cancelled.
    """
    return absorbing(lambda downstream: Absorbing[Any](downstream, Fail[Any]()))
