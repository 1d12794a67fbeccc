"""The reactive core: streams whose subscribers say how many records they want (`request(n)`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.core.exports import lazy_exports

if TYPE_CHECKING:
    from pipeline.reactive.base_subscriber import BaseSubscriber, SignalType
    from pipeline.reactive.flux import DemandLost, Flux
    from pipeline.reactive.intake import BufferOverflowStrategy, OverflowStrategy
    from pipeline.reactive.operators.backoff import backoff
    from pipeline.reactive.operators.buffer_timeout import buffer_timeout
    from pipeline.reactive.operators.concat import concat
    from pipeline.reactive.operators.filter import filter  # noqa: A004 - the name in Rx
    from pipeline.reactive.operators.flat_map import flat_map
    from pipeline.reactive.operators.limit_rate import limit_rate
    from pipeline.reactive.operators.map import map  # noqa: A004 - the name in Rx
    from pipeline.reactive.operators.merge import merge
    from pipeline.reactive.operators.on_backpressure_buffer import on_backpressure_buffer
    from pipeline.reactive.operators.on_backpressure_drop import on_backpressure_drop
    from pipeline.reactive.operators.on_backpressure_error import on_backpressure_error
    from pipeline.reactive.operators.on_backpressure_latest import on_backpressure_latest
    from pipeline.reactive.operators.publish_on import publish_on
    from pipeline.reactive.operators.retry_when import retry_when
    from pipeline.reactive.operators.subscribe_on import subscribe_on
    from pipeline.reactive.operators.take import take
    from pipeline.reactive.operators.zip import zip  # noqa: A004 - the name in Rx
    from pipeline.reactive.scheduling import Worker
    from pipeline.reactive.sinks.emit import (
        EmissionError,
        EmitFailureHandler,
        EmitResult,
        busy_looping,
        fail_fast,
    )
    from pipeline.reactive.sinks.factory import Sinks
    from pipeline.reactive.sinks.sink import Sink
    from pipeline.reactive.sources.async_iterable import from_async_iterable, to_async_iterator
    from pipeline.reactive.sources.create import FluxSink, create, push
    from pipeline.reactive.sources.generate import generate
    from pipeline.reactive.sources.iterable import from_iterable
    from pipeline.reactive.sources.observable import from_observable

__all__ = [
    "BaseSubscriber",
    "BufferOverflowStrategy",
    "DemandLost",
    "EmissionError",
    "EmitFailureHandler",
    "EmitResult",
    "Flux",
    "FluxSink",
    "OverflowStrategy",
    "SignalType",
    "Sink",
    "Sinks",
    "Worker",
    "backoff",
    "buffer_timeout",
    "busy_looping",
    "concat",
    "create",
    "fail_fast",
    "filter",
    "flat_map",
    "from_async_iterable",
    "from_iterable",
    "from_observable",
    "generate",
    "limit_rate",
    "map",
    "merge",
    "on_backpressure_buffer",
    "on_backpressure_drop",
    "on_backpressure_error",
    "on_backpressure_latest",
    "publish_on",
    "push",
    "retry_when",
    "subscribe_on",
    "take",
    "to_async_iterator",
    "zip",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "BaseSubscriber": "pipeline.reactive.base_subscriber",
        "BufferOverflowStrategy": "pipeline.reactive.intake",
        "DemandLost": "pipeline.reactive.flux",
        "EmissionError": "pipeline.reactive.sinks.emit",
        "EmitFailureHandler": "pipeline.reactive.sinks.emit",
        "EmitResult": "pipeline.reactive.sinks.emit",
        "Flux": "pipeline.reactive.flux",
        "FluxSink": "pipeline.reactive.sources.create",
        "OverflowStrategy": "pipeline.reactive.intake",
        "SignalType": "pipeline.reactive.base_subscriber",
        "Sink": "pipeline.reactive.sinks.sink",
        "Sinks": "pipeline.reactive.sinks.factory",
        "Worker": "pipeline.reactive.scheduling",
        "backoff": "pipeline.reactive.operators.backoff",
        "buffer_timeout": "pipeline.reactive.operators.buffer_timeout",
        "busy_looping": "pipeline.reactive.sinks.emit",
        "concat": "pipeline.reactive.operators.concat",
        "create": "pipeline.reactive.sources.create",
        "fail_fast": "pipeline.reactive.sinks.emit",
        "filter": "pipeline.reactive.operators.filter",
        "flat_map": "pipeline.reactive.operators.flat_map",
        "from_async_iterable": "pipeline.reactive.sources.async_iterable",
        "from_iterable": "pipeline.reactive.sources.iterable",
        "from_observable": "pipeline.reactive.sources.observable",
        "generate": "pipeline.reactive.sources.generate",
        "limit_rate": "pipeline.reactive.operators.limit_rate",
        "map": "pipeline.reactive.operators.map",
        "merge": "pipeline.reactive.operators.merge",
        "on_backpressure_buffer": "pipeline.reactive.operators.on_backpressure_buffer",
        "on_backpressure_drop": "pipeline.reactive.operators.on_backpressure_drop",
        "on_backpressure_error": "pipeline.reactive.operators.on_backpressure_error",
        "on_backpressure_latest": "pipeline.reactive.operators.on_backpressure_latest",
        "publish_on": "pipeline.reactive.operators.publish_on",
        "push": "pipeline.reactive.sources.create",
        "retry_when": "pipeline.reactive.operators.retry_when",
        "subscribe_on": "pipeline.reactive.operators.subscribe_on",
        "take": "pipeline.reactive.operators.take",
        "to_async_iterator": "pipeline.reactive.sources.async_iterable",
        "zip": "pipeline.reactive.operators.zip",
    },
)
