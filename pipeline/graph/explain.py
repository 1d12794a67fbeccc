"""explain: the facts about a job that a reader wants before it runs; other modules lay them out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Final

from pipeline.core.config import KINDS, UNSET, JobConfig, ResolvedConfig
from pipeline.core.durations import describe_duration, whole_ms
from pipeline.core.functions import FunctionRef
from pipeline.core.restart import RestartStrategy
from pipeline.graph.buffers import losses
from pipeline.graph.guarantees import end_to_end, sink_guarantee, source_guarantee
from pipeline.graph.job_graph import JobEdge, JobGraph
from pipeline.graph.stream_graph import StreamEdge, StreamGraph, StreamNode


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What is said of one node of the StreamGraph.

    Args:
        node: the node.
        function: the user's function that names it, None if it has none.
        on_error: its error policy in words, None if it has none.
        details: more, one fact each.
    """

    node: StreamNode
    function: FunctionRef | None
    on_error: str | None
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of the configuration, and which layer it came from."""

    name: str
    value: str
    provenance: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """All there is to say of a job.

    Args:
        graph: its vertices and transfers, and through `graph.stream` what the user wrote.
        guarantee: what it promises from end to end, in one line.
        nodes: in the order of the StreamGraph.
        settings: in the order of `JobConfig`.
    """

    graph: JobGraph
    guarantee: str
    nodes: tuple[NodeFacts, ...]
    settings: tuple[Setting, ...]

    def transfer(self, edge: StreamEdge) -> JobEdge | None:
        """Return the transfer that an edge of the StreamGraph is, None where its ends were fused."""
        return next((transfer for transfer in self.graph.edges if transfer.stream_edge == edge), None)


def explain(graph: JobGraph, resolved: ResolvedConfig) -> Explanation:
    """Collect the facts about a job."""
    stream = graph.stream
    return Explanation(
        graph,
        end_to_end(stream, checkpoints=resolved.checkpoints, losses=losses(graph.buffers)),
        tuple(_facts(graph, node) for node in stream.nodes),
        tuple(
            Setting(
                field.name,
                _words(field.name, getattr(resolved.values, field.name)),
                resolved.provenance[field.name],
            )
            for field in fields(JobConfig)
        ),
    )


def _facts(graph: JobGraph, node: StreamNode) -> NodeFacts:
    return NodeFacts(
        node,
        node.functions[0] if node.functions else None,
        None if node.on_error is None else node.on_error.describe(),
        (*_details(graph.stream, node), *_buffers_before(graph, node)),
    )


def _details(stream: StreamGraph, node: StreamNode) -> list[str]:
    if node.source is not None:
        watermarks = (
            "no watermarks" if node.watermarks is None else f"watermarks {node.watermarks.describe()}"
        )
        return [source_guarantee(node.source.info), watermarks]
    if node.sink is not None:
        return [sink_guarantee(node.sink.info)]
    said = [] if node.spec is None else [node.spec.describe()]
    if node.reads_time and not _is_described_before(stream, node):
        said.append(_time_of(stream, node))
    return list(filter(None, said))


def _is_described_before(stream: StreamGraph, node: StreamNode) -> bool:
    """Whether the operator before has said what holds for this one too."""
    before = [stream.nodes[edge.source].spec for edge in stream.inputs(node.id)]
    return any(spec is not None and spec.runs_in_next for spec in before)


def _buffers_before(graph: JobGraph, node: StreamNode) -> list[str]:
    """Say what the buffers that a node reads from do; the job's are named, an operator's own is itself."""
    return [
        f"reads from the job's {buffer.describe()}" if buffer.of_job else buffer.describe()
        for edge, buffer in graph.buffers.items()
        if edge.target == node.id
    ]


def _time_of(stream: StreamGraph, node: StreamNode) -> str:
    without = [origin.uid for origin in stream.time_origins(node.id) if not origin.tells_time]
    return f"processing time: no watermarks from {', '.join(without)}" if without else "event time"


_WORDS: Final[tuple[tuple[type, Callable[[Any], str]], ...]] = (
    (bool, lambda value: "yes" if value else "no"),
    (int, lambda value: f"{value:,}"),
    (timedelta, lambda value: describe_duration(whole_ms(value))),
    (RestartStrategy, lambda value: value.describe()),
)


def _words(name: str, value: object) -> str:
    if value is UNSET:
        return KINDS[name].unset
    if value is None:
        return KINDS[name].none or "none"
    if KINDS[name].secret:
        return "given, not shown"
    return next((say(value) for kind, say in _WORDS if isinstance(value, kind)), str(value))
