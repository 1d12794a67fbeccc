"""Sources and sinks that are facts only, for jobs that are built and never run."""

from __future__ import annotations

from typing import Any

from pipeline.core.job import JobMode
from pipeline.spi.sink import AnySink, SinkInfo
from pipeline.spi.source import Source, SourceContext, SourceInfo


class FakeSource(Source[dict[str, Any]]):
    """A source that is never run."""

    def __init__(
        self, target: str = "events", mode: JobMode = JobMode.STREAMING, *, durable: bool = True
    ) -> None:
        self._info = SourceInfo("kafka", target, mode, durable=durable)

    @property
    def info(self) -> SourceInfo:
        return self._info

    def run(self, ctx: SourceContext[dict[str, Any]]) -> None:
        raise NotImplementedError

    def snapshot_state(self) -> None:
        raise NotImplementedError

    def restore_state(self, state: Any) -> None:
        raise NotImplementedError


class FakeSink(AnySink[Any]):
    """A sink that is never run."""

    def __init__(self, target: str = "alerts") -> None:
        self._info = SinkInfo("kafka", target, "exactly-once")

    @property
    def info(self) -> SinkInfo:
        return self._info
