"""JobGraph: what runs. Neighbours that may be fused are one vertex, the edges that are left are transfers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.core.config import Settings
from pipeline.core.errors import ConfigError
from pipeline.graph.buffers import Buffer, buffers_of
from pipeline.graph.chaining import Link, why_not_fused
from pipeline.graph.stream_graph import StreamEdge, StreamGraph, StreamNode
from pipeline.graph.validate import most_subtasks
from pipeline.operators.base import Partitioning


@dataclass(frozen=True, slots=True)
class JobVertex:
    """A line of nodes that run as one: direct calls inside, no queue, no thread switch.

    Args:
        id: the id of its first node.
        nodes: in the order of the stream.
        parallelism: how many subtasks it runs as.
    """

    id: int
    nodes: tuple[StreamNode, ...]
    parallelism: int

    @property
    def name(self) -> str:
        """Return the names of its nodes, as `Source+Map+Filter`."""
        return "+".join(node.name for node in self.nodes)

    @property
    def is_exchange(self) -> bool:
        """Whether it is an exchange, as KeyBy: a vertex of the plan that runs inside the vertex before it."""
        return self.nodes[0].exchange is not None


@dataclass(frozen=True, slots=True)
class JobEdge:
    """A transfer between two vertices: a chain break.

    Args:
        source, target: ids of vertices.
        stream_edge: the edge of the StreamGraph that it is.
        partitioning: as that edge's, or rebalance where the number of subtasks changes.
        reason: why its two ends were not fused.
        buffer: the buffer with a strategy that it is; None for a plain hand-over.
    """

    source: int
    target: int
    stream_edge: StreamEdge
    partitioning: Partitioning
    reason: str
    buffer: Buffer | None = None


@dataclass(frozen=True, slots=True)
class JobGraph:
    """The vertices of a job and the transfers between them.

    Args:
        stream: the graph it was made from.
        vertices: in topological order.
        edges: in the order of the StreamGraph's.
    """

    stream: StreamGraph
    vertices: tuple[JobVertex, ...]
    edges: tuple[JobEdge, ...]

    @property
    def buffers(self) -> Mapping[StreamEdge, Buffer]:
        """The buffers with a strategy, by their edge of the StreamGraph."""
        return {edge.stream_edge: edge.buffer for edge in self.edges if edge.buffer is not None}

    def vertex(self, vertex_id: int) -> JobVertex:
        """Return the vertex of an id."""
        return next(vertex for vertex in self.vertices if vertex.id == vertex_id)

    def inputs(self, vertex_id: int) -> Sequence[JobEdge]:
        """Return the transfers into a vertex."""
        return [edge for edge in self.edges if edge.target == vertex_id]

    def outputs(self, vertex_id: int) -> Sequence[JobEdge]:
        """Return the transfers out of a vertex, side outputs included."""
        return [edge for edge in self.edges if edge.source == vertex_id]


def build_job_graph(stream: StreamGraph, config: Settings) -> JobGraph:
    """Fuse what may be fused.

    Args:
        stream: a validated graph.
        config: settings in which nothing is unset.

    Raises:
        ConfigError: an operator's parallelism is above the job's `max_parallelism`, or a buffer's
            strategy does not go with the job.
    """
    buffers = buffers_of(stream, config)
    parallelism = {node.id: _parallelism(node, config) for node in stream.nodes}
    broken: dict[StreamEdge, str | None] = {}
    vertex_of = {node.id: node.id for node in stream.nodes}
    for edge in stream.edges:  # targets rise: the head of what is upstream is known
        head = vertex_of[edge.source]
        clock_meets_source = stream.nodes[head].source is not None and stream.needs_clock(edge.target)
        link = _link(stream, edge, parallelism, buffers.get(edge), clock_meets_source=clock_meets_source)
        broken[edge] = why_not_fused(link)
        if broken[edge] is None:
            vertex_of[edge.target] = head
    vertices: dict[int, list[StreamNode]] = {}
    for node in stream.nodes:
        vertices.setdefault(vertex_of[node.id], []).append(node)
    return JobGraph(
        stream,
        tuple(JobVertex(head, tuple(nodes), parallelism[head]) for head, nodes in vertices.items()),
        tuple(
            JobEdge(
                vertex_of[edge.source],
                edge.target,
                edge,
                _partitioning(edge, parallelism),
                reason,
                buffers.get(edge),
            )
            for edge, reason in broken.items()
            if reason is not None
        ),
    )


def _parallelism(node: StreamNode, config: Settings) -> int:
    most = most_subtasks(node)
    if node.parallelism is None:
        return config.parallelism if most is None else min(config.parallelism, most)
    if node.parallelism > config.max_parallelism:
        raise ConfigError(
            f"{node} has parallelism {node.parallelism}, above max_parallelism {config.max_parallelism}",
            hint="lower its with_parallelism, or raise JobConfig(max_parallelism=…) before the job has state",
        )
    return node.parallelism


def _link(
    stream: StreamGraph,
    edge: StreamEdge,
    parallelism: Mapping[int, int],
    buffer: Buffer | None,
    *,
    clock_meets_source: bool,
) -> Link:
    return Link(
        edge=edge,
        upstream=stream.nodes[edge.source],
        downstream=stream.nodes[edge.target],
        upstream_outputs=len(stream.outputs(edge.source)),
        downstream_inputs=len(stream.inputs(edge.target)),
        upstream_parallelism=parallelism[edge.source],
        downstream_parallelism=parallelism[edge.target],
        buffer=buffer,
        clock_meets_source=clock_meets_source,
    )


def _partitioning(edge: StreamEdge, parallelism: Mapping[int, int]) -> Partitioning:
    changes = parallelism[edge.source] != parallelism[edge.target]
    return (
        Partitioning.REBALANCE if changes and edge.partitioning is Partitioning.FORWARD else edge.partitioning
    )
