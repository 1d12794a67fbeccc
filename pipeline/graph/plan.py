"""The plan: the JobGraph as the runtime wires it, each KeyBy turned into an exchange of two vertices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.core.config import BackpressureStrategy
from pipeline.core.policy import SideTag
from pipeline.graph.buffers import Buffer
from pipeline.graph.job_graph import JobEdge, JobGraph, JobVertex
from pipeline.graph.lines import lines
from pipeline.graph.stream_graph import StreamGraph, StreamNode
from pipeline.operators.base import Function, Partitioning
from pipeline.windows.watermarks import WatermarkStrategy


@dataclass(frozen=True, slots=True)
class PlanVertex:
    """A chain to run.

    Args:
        id: unique in the plan; that of its JobVertex.
        name: as `Source+Map+Filter`; unique in the plan, by a `#2` where another vertex has the same.
        nodes: in the order of the stream; a source can only be the first, a sink only the last.
        parallelism: how many subtasks it runs as.
        carry_origins: whether a vertex downstream dead-letters, so that origins must travel with its output.
        carry_time: whether an operator reads the event time of its source, which must stamp records then.
        ended: whether nothing comes to it any more, as of the checkpoint to continue from.
        ended_inputs: the inputs to which nothing comes any more, likewise.
    """

    id: int
    name: str
    nodes: tuple[StreamNode, ...]
    parallelism: int
    carry_origins: bool
    carry_time: bool
    ended: bool = False
    ended_inputs: frozenset[int] = frozenset()

    @property
    def watermarks(self) -> WatermarkStrategy | None:
        """How its source tells event time; None if it has no source, or nobody wants to know."""
        return self.nodes[0].watermarks if self.carry_time else None


@dataclass(frozen=True, slots=True)
class PlanEdge:
    """A queue, or one per pair of subtasks, between two vertices.

    Args:
        source: id of the vertex records come from.
        source_node: id of the node in it whose output they are.
        target: id of the vertex they go to.
        partitioning: which subtask of `target` gets a record.
        input_index: which input of the first node of `target` it is.
        side_tag: the side output of `source_node` that is read; None for its main output.
        exchange: the node of the exchange that it goes through, None if there is none.
        buffer: the buffer with a strategy that its queues are; None for plain hand-overs.
    """

    source: int
    source_node: int
    target: int
    partitioning: Partitioning
    input_index: int
    side_tag: SideTag | None
    exchange: StreamNode | None
    buffer: Buffer | None = None

    @property
    def selector(self) -> Function | None:
        """The function that returns a record's key; None if records are not partitioned by key."""
        exchange = None if self.exchange is None else self.exchange.exchange
        return None if exchange is None else exchange.selector

    @property
    def selector_uid(self) -> str | None:
        """The uid of its exchange, for error messages."""
        return None if self.exchange is None else self.exchange.uid


@dataclass(frozen=True, slots=True)
class JobPlan:
    """All that the runtime needs to know of a job's shape.

    Args:
        stream: what the user wrote, for names and facts of the whole job.
        vertices: in topological order.
        edges: between them.
    """

    stream: StreamGraph
    vertices: tuple[PlanVertex, ...]
    edges: tuple[PlanEdge, ...]

    def parallelism(self, vertex_id: int) -> int:
        """Return how many subtasks a vertex has."""
        return next(vertex.parallelism for vertex in self.vertices if vertex.id == vertex_id)

    def is_fresh(self, vertex_id: int) -> bool:
        """Return whether the output of a vertex was the newest a moment ago: LATEST is upstream of it.

        Queues downstream must not collect records that grow old meanwhile.
        """
        return any(
            edge.target == vertex_id
            and (_keeps_the_newest(edge.buffer) if edge.buffer else self.is_fresh(edge.source))
            for edge in self.edges
        )

    def lanes(self) -> Mapping[str, int]:
        """Return how many queues each buffer with a strategy is, by its uid."""
        return {
            edge.buffer.uid: self.parallelism(edge.target)
            * (1 if edge.partitioning is Partitioning.FORWARD else self.parallelism(edge.source))
            for edge in self.edges
            if edge.buffer is not None
        }

    def ended(self, sources: Collection[str]) -> set[int]:
        """Return the vertices to which nothing comes any more once these sources have ended.

        Args:
            sources: uids of sources whose end was passed on ahead of a barrier. In a buffer with a
                strategy the barrier overtakes the end, as everything else: downstream continues.
        """
        found: set[int] = set()
        for vertex in self.vertices:
            head = vertex.nodes[0]
            inputs = [edge for edge in self.edges if edge.target == vertex.id]
            by_source = head.source is not None and head.uid in sources
            if by_source or (inputs and all(e.source in found and e.buffer is None for e in inputs)):
                found.add(vertex.id)
        return found

    def after(self, sources: Collection[str]) -> JobPlan:
        """Return the plan as it is once these sources have ended; see `ended`."""
        ended = self.ended(sources)
        vertices = tuple(
            replace(vertex, ended=vertex.id in ended, ended_inputs=self._ended_inputs(vertex.id, ended))
            for vertex in self.vertices
        )
        return replace(self, vertices=vertices)

    def _ended_inputs(self, vertex_id: int, ended: Collection[int]) -> frozenset[int]:
        return frozenset(
            edge.input_index
            for edge in self.edges
            if edge.target == vertex_id and edge.source in ended and edge.buffer is None
        )

    def vertex(self, vertex_id: int) -> PlanVertex:
        """Return the vertex of an id."""
        return next(vertex for vertex in self.vertices if vertex.id == vertex_id)


def _keeps_the_newest(buffer: Buffer) -> bool:
    return buffer.strategy is BackpressureStrategy.LATEST


def lane_of(partitioning: Partitioning, subtask: int, upstream: int, upstreams: int) -> int:
    """Number the queues of an edge, those of one target subtask side by side."""
    return subtask if partitioning is Partitioning.FORWARD else subtask * upstreams + upstream


def physical(job_graph: JobGraph) -> JobPlan:
    """Turn a JobGraph into a plan."""
    first = lines(job_graph)
    edges = [
        _plan_edge(job_graph, edge, first)
        for edge in job_graph.edges
        if not job_graph.vertex(edge.target).is_exchange and first[edge.source] != first[edge.target]
    ]
    chains = _chains(job_graph, first)
    dead_lettering = _those_with(chains, lambda node: node.dead_letters is not None)
    origins = _before(dead_lettering, edges)
    stamping = _stamping(job_graph.stream)
    vertices = [
        PlanVertex(
            vertex.id, name, vertex.nodes, vertex.parallelism, vertex.id in origins, vertex.id in stamping
        )
        for vertex, name in zip(chains, _unique_names(chains), strict=True)
    ]
    return JobPlan(job_graph.stream, tuple(vertices), tuple(edges))


def _chains(job_graph: JobGraph, first: Mapping[int, int]) -> list[JobVertex]:
    """Return what runs: the vertices without exchanges, those of a line as one with all their nodes."""
    nodes: dict[int, list[StreamNode]] = {}
    for vertex in job_graph.vertices:
        if first[vertex.id] != vertex.id or not vertex.is_exchange:
            nodes.setdefault(first[vertex.id], []).extend(vertex.nodes)
    return [JobVertex(head, tuple(line), job_graph.vertex(head).parallelism) for head, line in nodes.items()]


def _stamping(stream: StreamGraph) -> set[int]:
    """Return the sources whose event time an operator reads; the id of each is that of its vertex."""
    readers = [node for node in stream.nodes if node.reads_time and stream.has_event_time(node.id)]
    return {origin.id for node in readers for origin in stream.time_origins(node.id)}


def _those_with(chains: Sequence[JobVertex], wanted: Callable[[StreamNode], bool]) -> set[int]:
    return {vertex.id for vertex in chains if any(map(wanted, vertex.nodes))}


def _before(vertices: set[int], edges: Sequence[PlanEdge]) -> set[int]:
    """Return those that have one of `vertices` behind them, at any distance."""
    found: set[int] = set()
    for edge in sorted(edges, key=lambda edge: -edge.target):  # ids rise along the stream
        if edge.target in vertices | found:
            found.add(edge.source)
    return found


def _unique_names(chains: Sequence[JobVertex]) -> list[str]:
    taken = {vertex.name for vertex in chains}  # a user may have named a vertex `A#2`
    names: list[str] = []
    for vertex in chains:
        numbered = (f"{vertex.name}#{number}" for number in itertools.count(2))
        name = next(name for name in numbered if name not in taken) if vertex.name in names else vertex.name
        taken.add(name)
        names.append(name)
    return names


def _plan_edge(job_graph: JobGraph, edge: JobEdge, first: Mapping[int, int]) -> PlanEdge:
    """Follow a transfer back through the exchange it comes from, if any."""
    origin, exchange = edge, None
    before = job_graph.vertex(edge.source)
    if before.is_exchange:
        exchange = before.nodes[0]
        (origin,) = job_graph.inputs(before.id)
    return PlanEdge(
        source=first[origin.source],
        source_node=origin.stream_edge.source,
        target=first[edge.target],
        partitioning=edge.partitioning,
        input_index=edge.stream_edge.input_index,
        side_tag=origin.stream_edge.side_tag,
        exchange=exchange,
        buffer=edge.buffer or _behind_exchange(job_graph, origin, edge),
    )


def _behind_exchange(job_graph: JobGraph, origin: JobEdge, edge: JobEdge) -> Buffer | None:
    """Return the buffer before a KeyBy, which is downstream of the exchange: one for each of its readers."""
    buffer = origin.buffer
    if buffer is None or len(job_graph.outputs(edge.source)) == 1:
        return buffer
    return replace(buffer, uid=f"{buffer.uid}:{job_graph.vertex(edge.target).nodes[0].uid}")
