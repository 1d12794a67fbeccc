"""Pipeline Framework: reactive dataflow jobs with state, checkpoints and exactly-once output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pipeline.core.exports import lazy_exports
from pipeline.core.siblings import require_siblings

if TYPE_CHECKING:
    from pipeline.api.job import StreamJob
    from pipeline.api.keyed_stream import KeyedStream, WindowedStream
    from pipeline.api.stream import Stream
    from pipeline.core.config import BackpressureStrategy, JobConfig
    from pipeline.core.errors import (
        BackpressureOverflow,
        CheckpointCorrupted,
        CheckpointError,
        ConfigError,
        ConnectorError,
        EncodingError,
        Fenced,
        GraphError,
        InternalError,
        JobAlreadyRunning,
        MissingExtra,
        PipelineError,
        SinkError,
        SourceError,
        StateError,
        UserFunctionError,
    )
    from pipeline.core.job import JobMode, JobStatus
    from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy, SideTag
    from pipeline.core.records import DeadLetter, FailedRecord
    from pipeline.core.restart import RestartStrategy
    from pipeline.core.run_options import RunOptions
    from pipeline.runtime.control import JobControl
    from pipeline.runtime.result import JobResult
    from pipeline.spi.function import FunctionContext
    from pipeline.windows.assigners import SlidingTimeWindows, TumblingTimeWindows, Window
    from pipeline.windows.watermarks import WatermarkStrategy
    from state.descriptors import AggregateFunction

    __version__: str

__all__ = [
    "DEAD_LETTERS",
    "AggregateFunction",
    "BackpressureOverflow",
    "BackpressureStrategy",
    "CheckpointCorrupted",
    "CheckpointError",
    "ConfigError",
    "ConnectorError",
    "DeadLetter",
    "EncodingError",
    "ErrorPolicy",
    "FailedRecord",
    "Fenced",
    "FunctionContext",
    "GraphError",
    "InternalError",
    "JobAlreadyRunning",
    "JobConfig",
    "JobControl",
    "JobMode",
    "JobResult",
    "JobStatus",
    "KeyedStream",
    "MissingExtra",
    "PipelineError",
    "RestartStrategy",
    "RunOptions",
    "SideTag",
    "SinkError",
    "SlidingTimeWindows",
    "SourceError",
    "StateError",
    "Stream",
    "StreamJob",
    "TumblingTimeWindows",
    "UserFunctionError",
    "WatermarkStrategy",
    "Window",
    "WindowedStream",
    "__version__",
]

_NAMES_BY_HOME: Final = {
    "pipeline.api.job": ("StreamJob",),
    "pipeline.api.keyed_stream": ("KeyedStream", "WindowedStream"),
    "pipeline.api.stream": ("Stream",),
    "pipeline.core.config": ("BackpressureStrategy", "JobConfig"),
    "pipeline.core.errors": (
        "BackpressureOverflow",
        "CheckpointCorrupted",
        "CheckpointError",
        "ConfigError",
        "ConnectorError",
        "EncodingError",
        "Fenced",
        "GraphError",
        "InternalError",
        "JobAlreadyRunning",
        "MissingExtra",
        "PipelineError",
        "SinkError",
        "SourceError",
        "StateError",
        "UserFunctionError",
    ),
    "pipeline.core.job": ("JobMode", "JobStatus"),
    "pipeline.core.policy": ("DEAD_LETTERS", "ErrorPolicy", "SideTag"),
    "pipeline.core.records": ("DeadLetter", "FailedRecord"),
    "pipeline.core.restart": ("RestartStrategy",),
    "pipeline.core.run_options": ("RunOptions",),
    "pipeline.runtime.control": ("JobControl",),
    "pipeline.runtime.result": ("JobResult",),
    "pipeline.spi.function": ("FunctionContext",),
    "pipeline.windows.assigners": ("SlidingTimeWindows", "TumblingTimeWindows", "Window"),
    "pipeline.windows.watermarks": ("WatermarkStrategy",),
    "state.descriptors": ("AggregateFunction",),
}

require_siblings()

_resolve = lazy_exports(__name__, {name: home for home, names in _NAMES_BY_HOME.items() for name in names})


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from pipeline.core.distribution import version

        return version()
    return _resolve(name)


def __dir__() -> list[str]:
    return __all__
