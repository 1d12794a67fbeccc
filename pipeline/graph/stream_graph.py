"""StreamGraph: what the user wrote, one node for each source, operator and sink; it holds no running part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.functions import FunctionRef
from pipeline.core.job import JobMode
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy, SideTag
from pipeline.operators.base import Chaining, Exchange, OperatorSpec, Partitioning
from pipeline.spi.sink import AnySink
from pipeline.spi.source import Source
from pipeline.windows.watermarks import WatermarkStrategy

Definition = Source[Any] | OperatorSpec | AnySink[Any]


@dataclass(frozen=True, slots=True)
class StreamNode:
    """A source, an operator or a sink.

    Args:
        id: its number in the graph; a node's inputs have smaller ones.
        uid: what its state, its marks and its metrics are filed under.
        stable: whether the uid names this node whatever else changes in the job; one that does not
            is for display only and never matches state.
        kind: `map`, `reduce`, …; of a source or sink its connector's: `kafka`.
        name: its part of the name of its vertex: `Map`, or what the user called it.
        definition: the source, the operator's spec or the sink itself.
        functions: where the user's functions are written, the one that names the operator first.
        written_at: `file:line` at which it was added to the job, None where that is not known.
        parallelism: what the user asked for; None for the job's.
        chaining: what it allows of its neighbours.
        watermarks: of a source, how it tells event time.
    """

    id: int
    uid: str
    stable: bool
    kind: str
    name: str
    definition: Definition
    functions: tuple[FunctionRef, ...]
    written_at: str | None
    parallelism: int | None
    chaining: Chaining
    watermarks: WatermarkStrategy | None

    @property
    def source(self) -> Source[Any] | None:
        return self.definition if isinstance(self.definition, Source) else None

    @property
    def spec(self) -> OperatorSpec | None:
        return self.definition if isinstance(self.definition, OperatorSpec) else None

    @property
    def sink(self) -> AnySink[Any] | None:
        return self.definition if isinstance(self.definition, AnySink) else None

    @property
    def exchange(self) -> Exchange | None:
        """How it distributes records downstream; None for a node that is not an exchange."""
        return None if self.spec is None else self.spec.exchange

    @property
    def reads_time(self) -> bool:
        """Whether its results depend on event time or the clock."""
        return self.spec is not None and self.spec.reads_time

    @property
    def assigns_time(self) -> bool:
        """Whether event time restarts with its output."""
        return self.spec is not None and self.spec.assigns_time

    @property
    def tells_time(self) -> bool:
        """Whether its output has event time, whatever its input has."""
        return self.watermarks is not None or self.assigns_time

    @property
    def keeps_state(self) -> bool:
        """Whether a checkpoint holds something of it; positions and transactions count."""
        return self.spec is None or self.spec.keeps_state

    @property
    def on_error(self) -> ErrorPolicy | None:
        """What happens to a record its function cannot handle; None where it has no function for that."""
        policy = getattr(self.definition, "on_error", None)
        return policy if isinstance(policy, ErrorPolicy) else None

    @property
    def dead_letters(self) -> SideTag | None:
        """The side output it sends dead letters to, None if it sends none."""
        return _dead_letters(self.on_error)

    @property
    def timeless(self) -> SideTag | None:
        """The side output of a source's records that have no event time, None if they go to none."""
        return None if self.watermarks is None else _dead_letters(self.watermarks.on_error)

    @property
    def side_tags(self) -> Sequence[SideTag]:
        """The side outputs it writes to, each once."""
        own = () if self.spec is None else (side.tag for side in self.spec.side_outputs)
        tags = (self.dead_letters, *own, self.timeless)
        return list(dict.fromkeys(tag for tag in tags if tag is not None))

    def __str__(self) -> str:
        """Return what error messages call it: its uid and where to find it."""
        first = self.functions[0] if self.functions else None
        where = self.written_at if first is None or first.file is None else f"{first.file}:{first.line}"
        return self.uid if where is None else f"{self.uid} ({where})"


def _dead_letters(policy: ErrorPolicy | None) -> SideTag | None:
    return (policy.tag or DEAD_LETTERS) if policy is not None and policy.kind == "dead_letter" else None


def _falls_idle_by_the_clock(node: StreamNode) -> bool:
    """Whether the engine itself decides that a split of a source is silent; else the source says so."""
    idleness = None if node.watermarks is None else node.watermarks.idleness_ms
    return idleness is not None and node.source is not None and not node.source.info.confirms_silence


@dataclass(frozen=True, slots=True)
class StreamEdge:
    """Records flow from one node to another.

    Args:
        source, target: ids of nodes.
        partitioning: which subtask of the target a record goes to.
        side_tag: the side output of `source` that is read; None for its main output.
        input_index: which input of `target` it is, from 0.
    """

    source: int
    target: int
    partitioning: Partitioning
    side_tag: SideTag | None = None
    input_index: int = 0


@dataclass(frozen=True, slots=True)
class StreamGraph:
    """A job as the user wrote it.

    Args:
        job: the job's name.
        mode: what kind of job it is.
        nodes: in topological order; `nodes[id].id == id`.
        edges: grouped by their target, in the order of its inputs.
    """

    job: str
    mode: JobMode
    nodes: tuple[StreamNode, ...]
    edges: tuple[StreamEdge, ...]

    @property
    def sources(self) -> Sequence[StreamNode]:
        return [node for node in self.nodes if node.source is not None]

    @property
    def sinks(self) -> Sequence[StreamNode]:
        return [node for node in self.nodes if node.sink is not None]

    def inputs(self, node: int) -> Sequence[StreamEdge]:
        """Return the edges into a node, in the order of its inputs."""
        return [edge for edge in self.edges if edge.target == node]

    def outputs(self, node: int) -> Sequence[StreamEdge]:
        """Return the edges out of a node's main output; side outputs are not among them."""
        return [edge for edge in self.edges if edge.source == node and edge.side_tag is None]

    def upstream_sources(self, node: int) -> Sequence[StreamNode]:
        """Return the sources whose records reach a node."""
        reached = {node}
        for edge in reversed(self.edges):  # targets rise, so each is visited after everything it feeds
            if edge.target in reached:
                reached.add(edge.source)
        return [source for source in self.sources if source.id in reached]

    def downstream_sinks(self, node: int) -> Sequence[StreamNode]:
        """Return the sinks that a node's records reach."""
        reached = {node}
        for edge in sorted(self.edges, key=lambda edge: edge.source):  # targets are larger than sources
            if edge.source in reached:
                reached.add(edge.target)
        return [sink for sink in self.sinks if sink.id in reached]

    def record_sources(self, node: int) -> Sequence[StreamNode]:
        """Return the sources whose records reach a node as they are; none if one operator makes its own."""
        sources: list[StreamNode] = []
        waiting = [node]
        while waiting:
            for edge in self.inputs(waiting.pop()):
                upstream = self.nodes[edge.source]
                if edge.side_tag is not None or (upstream.spec and not upstream.spec.keeps_records):
                    return ()
                if upstream.source is not None:
                    sources.append(upstream)
                else:
                    waiting.append(upstream.id)
        return sources

    def time_origins(self, node: int) -> Sequence[StreamNode]:
        """Return where the time of a node begins: sources, and operators that assign it, the nearest ones."""
        found: dict[int, StreamNode] = {}
        waiting = [edge.source for edge in self.inputs(node)]
        seen: set[int] = set()
        while waiting:
            upstream = waiting.pop()
            if upstream in seen:
                continue
            seen.add(upstream)
            if self.nodes[upstream].source is not None or self.nodes[upstream].assigns_time:
                found[upstream] = self.nodes[upstream]
            else:
                waiting += [edge.source for edge in self.inputs(upstream)]
        return [found[origin] for origin in sorted(found)]

    def has_event_time(self, node: int) -> bool:
        """Whether event time comes to a node on all ways; otherwise its time is that of processing."""
        return all(origin.tells_time for origin in self.time_origins(node))

    def needs_clock(self, node: int) -> bool:
        """Whether time moves for a node also while no record comes to it.

        A source's thread, which reads, cannot wait for that, and no other may run the node's functions.
        """
        spec = self.nodes[node].spec
        if spec is None or not (spec.uses_clock or spec.reads_time):
            return False
        silence = any(_falls_idle_by_the_clock(origin) for origin in self.time_origins(node))
        return spec.uses_clock or silence or not self.has_event_time(node)

    def windows_of(self, node: StreamNode) -> str:
        """Return by which windows of which time a node's state is divided; empty where it has none."""
        windows = "" if node.spec is None else node.spec.windows
        time = "event time" if self.has_event_time(node.id) else "processing time"
        return f"{windows}, {time}" if windows else ""

    @property
    def windows_by_the_clock(self) -> Sequence[StreamNode]:
        """The operators whose windows go by the clock, since their sources tell no event time."""
        return [
            node
            for node in self.nodes
            if node.spec is not None and node.spec.windows and not self.has_event_time(node.id)
        ]

    @property
    def resumable(self) -> bool:
        """False if a source can only start over: the job is then one epoch."""
        return all(node.source.info.resumable for node in self.nodes if node.source is not None)

    @property
    def durable(self) -> bool:
        """False if what a source reads is gone with the process: no other run can continue."""
        return all(node.source.info.durable for node in self.nodes if node.source is not None)
