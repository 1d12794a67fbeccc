"""The reactive core: streams whose subscribers say how many records they want (`request(n)`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.exports import lazy_exports

if TYPE_CHECKING:
    from pipeline.reactive.base_subscriber import BaseSubscriber, SignalType
    from pipeline.reactive.flux import DemandLost, Flux
    from pipeline.reactive.intake import BufferOverflowStrategy, OverflowStrategy
    from pipeline.reactive.operators.filter import filter  # noqa: A004 - the name in Rx
    from pipeline.reactive.operators.limit_rate import limit_rate
    from pipeline.reactive.operators.map import map  # noqa: A004 - the name in Rx
    from pipeline.reactive.operators.on_backpressure_buffer import on_backpressure_buffer
    from pipeline.reactive.operators.on_backpressure_drop import on_backpressure_drop
    from pipeline.reactive.operators.on_backpressure_error import on_backpressure_error
    from pipeline.reactive.operators.on_backpressure_latest import on_backpressure_latest
    from pipeline.reactive.operators.take import take
    from pipeline.reactive.sources.async_iterable import from_async_iterable, to_async_iterator
    from pipeline.reactive.sources.create import FluxSink, create, push
    from pipeline.reactive.sources.generate import generate
    from pipeline.reactive.sources.iterable import from_iterable
    from pipeline.reactive.sources.observable import from_observable

__all__ = [
    "BaseSubscriber",
    "BufferOverflowStrategy",
    "DemandLost",
    "Flux",
    "FluxSink",
    "OverflowStrategy",
    "SignalType",
    "create",
    "filter",
    "from_async_iterable",
    "from_iterable",
    "from_observable",
    "generate",
    "limit_rate",
    "map",
    "on_backpressure_buffer",
    "on_backpressure_drop",
    "on_backpressure_error",
    "on_backpressure_latest",
    "push",
    "take",
    "to_async_iterator",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "BaseSubscriber": "pipeline.reactive.base_subscriber",
        "BufferOverflowStrategy": "pipeline.reactive.intake",
        "DemandLost": "pipeline.reactive.flux",
        "Flux": "pipeline.reactive.flux",
        "FluxSink": "pipeline.reactive.sources.create",
        "OverflowStrategy": "pipeline.reactive.intake",
        "SignalType": "pipeline.reactive.base_subscriber",
        "create": "pipeline.reactive.sources.create",
        "filter": "pipeline.reactive.operators.filter",
        "from_async_iterable": "pipeline.reactive.sources.async_iterable",
        "from_iterable": "pipeline.reactive.sources.iterable",
        "from_observable": "pipeline.reactive.sources.observable",
        "generate": "pipeline.reactive.sources.generate",
        "limit_rate": "pipeline.reactive.operators.limit_rate",
        "map": "pipeline.reactive.operators.map",
        "on_backpressure_buffer": "pipeline.reactive.operators.on_backpressure_buffer",
        "on_backpressure_drop": "pipeline.reactive.operators.on_backpressure_drop",
        "on_backpressure_error": "pipeline.reactive.operators.on_backpressure_error",
        "on_backpressure_latest": "pipeline.reactive.operators.on_backpressure_latest",
        "push": "pipeline.reactive.sources.create",
        "take": "pipeline.reactive.operators.take",
        "to_async_iterator": "pipeline.reactive.sources.async_iterable",
    },
)
