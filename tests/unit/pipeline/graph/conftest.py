"""Sources and sinks that are facts only, and functions to put between them."""

from __future__ import annotations

from typing import Any

from pipeline.core.config import JobConfig, resolve
from pipeline.core.job import JobMode
from pipeline.graph.builder import GraphBuilder, Output
from pipeline.graph.job_graph import JobGraph, build_job_graph
from pipeline.graph.stream_graph import StreamGraph
from pipeline.operators.base import OperatorSpec
from pipeline.spi.sink import AnySink, SinkInfo
from pipeline.spi.source import Source, SourceContext, SourceInfo


class FakeSource(Source[Any]):
    """A source that is never run."""

    def __init__(self, target: str = "events", mode: JobMode = JobMode.STREAMING, **facts: Any) -> None:
        self._info = SourceInfo("kafka", target, mode, **facts)

    @property
    def info(self) -> SourceInfo:
        return self._info

    def run(self, ctx: SourceContext[Any]) -> None:
        raise NotImplementedError

    def snapshot_state(self) -> None:
        raise NotImplementedError

    def restore_state(self, state: Any) -> None:
        raise NotImplementedError


class FakeSink(AnySink[Any]):
    """A sink that is never run."""

    def __init__(
        self,
        target: str = "alerts",
        guarantee: str = "exactly-once",
        max_parallelism: int = 1,
        owns: str | None = None,
    ) -> None:
        self._info = SinkInfo("kafka", target, guarantee, max_parallelism, owns)

    @property
    def info(self) -> SinkInfo:
        return self._info


def parse(value: Any) -> Any:
    return value


def merge(first: Any, second: Any) -> Any:
    return first if second is None else second


class Graph(GraphBuilder):
    """A builder that is quick to write a line of operators with."""

    def line(self, *parts: Source[Any] | OperatorSpec | AnySink[Any], behind: Output | None = None) -> Output:
        """Add the parts one after the other and return the output of the last one."""
        end = behind
        for part in parts:
            if isinstance(part, Source):
                end = self.add_source(part)
            else:
                assert end is not None
                add = self.add_sink if isinstance(part, AnySink) else self._operator
                end = add(part, end)  # pyright: ignore[reportArgumentType]
        assert end is not None
        return end

    def _operator(self, spec: OperatorSpec, behind: Output) -> Output:
        return self.add_operator(spec, [behind])

    def stream(self) -> StreamGraph:
        return self.build("job", JobMode.STREAMING)

    def job(self, **settings: Any) -> JobGraph:
        resolved = resolve(JobConfig(**settings), JobMode.STREAMING, durable=True, environment={})
        return build_job_graph(self.stream(), resolved.values)
