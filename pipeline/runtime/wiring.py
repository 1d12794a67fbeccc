"""Turn a plan into subtasks: chains compiled, channels between them, sinks at their ends."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from checkpoint.storage.base import StorageAttempt
from pipeline.compiler.chain import compile_chain
from pipeline.compiler.stages import OperatorStage, Stage, StepStage
from pipeline.core.clock import Clock
from pipeline.core.config import Settings
from pipeline.core.errors import GraphError, InternalError
from pipeline.graph.buffers import checkpointed
from pipeline.graph.plan import JobPlan, PlanEdge, PlanVertex, lane_of
from pipeline.graph.stream_graph import StreamNode
from pipeline.operators.base import OperatorFactory, Partitioning, Step
from pipeline.reactive.channel import Channel
from pipeline.reactive.subscriber import BatchSubscriber
from pipeline.runtime.contexts import Identity, RunningOperatorContext, RunningSinkContext, VertexContext
from pipeline.runtime.edge_buffer import EdgeBuffer
from pipeline.runtime.ended_source import EndedSource
from pipeline.runtime.epoch_logs import SinkLogs
from pipeline.runtime.fanout import (
    Broadcast,
    ByKey,
    Fanout,
    Forward,
    Output,
    Partitioner,
    Rebalance,
    SideOutput,
)
from pipeline.runtime.fused import fuse
from pipeline.runtime.inner_subtask import InnerSubtask, Input, InputPlan
from pipeline.runtime.part_thread import PartThread
from pipeline.runtime.sink_tail import SinkTail
from pipeline.runtime.snapshot import Participant
from pipeline.runtime.source_subtask import SourceSubtask
from pipeline.runtime.subtask import HostedOperator, Post, Subtask
from pipeline.spi.sink import RecoveryChoices
from state.backend import StateBackendFactory
from state.keys import groups_of


@dataclass(slots=True)
class Wired:
    """The running parts of one attempt, sources first.

    Args:
        parts: stores their state.
    """

    parts: PartThread
    sources: list[SourceSubtask] = field(default_factory=list[SourceSubtask])
    inners: list[InnerSubtask] = field(default_factory=list[InnerSubtask])

    @property
    def subtasks(self) -> list[Subtask]:
        return [*self.sources, *self.inners]

    @property
    def operators(self) -> list[HostedOperator]:
        return [operator for subtask in self.subtasks for operator in subtask.operators]

    @property
    def buffers(self) -> list[EdgeBuffer]:
        return [buffer for inner in self.inners for buffer in inner.buffers]

    @property
    def sinks(self) -> list[SinkTail]:
        return [subtask.sink for subtask in self.subtasks if subtask.sink is not None]


class Wiring:
    """Builds the subtasks of one attempt.

    Args:
        plan: the vertices and the edges between them.
        config: resolved settings.
        identity: of the attempt.
        backends: makes keyed state.
        post: how subtasks speak to the job's thread.
        storage: keeps state and the epoch logs of sinks; None for a job that stores nothing.
        choices: what sinks may do at a recovery.
    """

    def __init__(
        self,
        plan: JobPlan,
        config: Settings,
        identity: Identity,
        backends: StateBackendFactory,
        post: Post,
        clock: Clock,
        storage: StorageAttempt | None = None,
        choices: RecoveryChoices | None = None,
    ) -> None:
        self._plan = plan
        self._config = config
        self._identity = identity
        self._backends = backends
        self._post = post
        self._clock = clock
        self._storage = storage
        self._parts = PartThread(storage, post, f"{identity.job_name}/parts")
        self._choices = choices or RecoveryChoices()
        self._sources: list[SourceSubtask] = []
        self._inners: dict[tuple[int, int], InnerSubtask] = {}

    def build(self) -> Wired:
        """Build everything; nothing is opened or started yet."""
        wired = Wired(self._parts, sources=self._sources)
        for vertex in self._plan.vertices:
            for subtask in range(vertex.parallelism):
                built = self._subtask(vertex, subtask)
                if isinstance(built, SourceSubtask):
                    wired.sources.append(built)
                else:
                    assert isinstance(built, InnerSubtask)
                    wired.inners.append(built)
                    self._inners[vertex.id, subtask] = built
        self._connect(wired)
        return wired

    # --- subtasks ----------------------------------------------------------------------------------

    def _subtask(self, vertex: PlanVertex, subtask: int) -> Subtask:
        ctx = VertexContext(self._identity, subtask, vertex.parallelism, self._clock)
        participant = Participant(vertex.name, subtask)
        operators = [
            self._operator(node, ctx) for node in vertex.nodes if isinstance(node.spec, OperatorFactory)
        ]
        head = vertex.nodes[0]
        if head.source is not None:
            return SourceSubtask(
                participant,
                ctx,
                operators,
                self._post,
                self._parts.put,
                uid=head.uid,
                source=EndedSource(head.source.info) if vertex.ended else copy.copy(head.source),
                rows=self._config.checkpoint_rows,
                batch_limit=self._config.source_batch_size,
                watermarks=vertex.watermarks,
            )
        return InnerSubtask(
            participant,
            ctx,
            operators,
            self._post,
            self._parts.put,
            name=vertex.name,
            inputs=[
                InputPlan(
                    edge.input_index if isinstance(head.spec, OperatorFactory) else 0,
                    self._input(edge, subtask, upstream),
                    ended=edge.input_index in vertex.ended_inputs,
                )
                for edge in self._inputs(vertex)
                for upstream in self._upstreams(edge, subtask)
            ],
        )

    def _input(self, edge: PlanEdge, subtask: int, upstream: int) -> Callable[[threading.Condition], Input]:
        """Say how to make the queue between two subtasks."""
        buffer, size = edge.buffer, self._config.buffer_size
        if buffer is None:
            bound = 1 if self._plan.is_fresh(edge.source) else size if isinstance(size, int) else None
            return lambda condition: Channel(condition, bound)
        lane = lane_of(edge.partitioning, subtask, upstream, self._plan.parallelism(edge.source))
        stored = checkpointed(self._config)
        return lambda condition: EdgeBuffer(condition, buffer, lane, stored=stored)

    def _operator(self, node: StreamNode, ctx: VertexContext) -> HostedOperator:
        spec = node.spec
        assert isinstance(spec, OperatorFactory)
        backend = None
        if spec.keeps_state:
            limit = self._config.max_parallelism
            groups = groups_of(ctx.subtask, ctx.parallelism, limit)
            backend = self._backends.create(node.uid, groups, limit)
        event_time = self._plan.stream.has_event_time(node.id)
        operator_ctx = RunningOperatorContext(ctx, node.uid, backend, event_time)
        return HostedOperator(operator_ctx, spec.create_operator(), backend, stored=self._storage is not None)

    def _inputs(self, vertex: PlanVertex) -> list[PlanEdge]:
        return [edge for edge in self._plan.edges if edge.target == vertex.id]

    def _upstreams(self, edge: PlanEdge, subtask: int) -> list[int]:
        """Say which subtasks of the edge's source feed this one of its target."""
        if edge.partitioning is Partitioning.FORWARD:
            return [subtask]
        return list(range(self._plan.parallelism(edge.source)))

    # --- streams --------------------------------------------------------------------------------------

    def _connect(self, wired: Wired) -> None:
        channels = self._number_channels()
        built = {
            (subtask.participant.vertex, subtask.participant.subtask): subtask for subtask in wired.subtasks
        }
        for vertex in self._plan.vertices:
            for index in range(vertex.parallelism):
                self._wire(vertex, built[vertex.name, index], channels)

    def _number_channels(self) -> dict[tuple[int, int, int], Input]:
        """Give each (edge, source subtask, target subtask) one channel of the target."""
        numbered: dict[tuple[int, int, int], Input] = {}
        for (vertex_id, subtask), inner in self._inners.items():
            free = iter(inner.channels)
            for number, edge in enumerate(self._plan.edges):
                if edge.target == vertex_id:
                    for upstream in self._upstreams(edge, subtask):
                        numbered[number, upstream, subtask] = next(free)
        return numbered

    def _wire(
        self, vertex: PlanVertex, subtask: Subtask, channels: dict[tuple[int, int, int], Input]
    ) -> None:
        index = subtask.participant.subtask
        outputs: list[Output] = []
        for number, edge in enumerate(self._plan.edges):
            if edge.source == vertex.id:
                targets = [
                    channels[number, index, target]
                    for target in range(self._plan.parallelism(edge.target))
                    if (number, index, target) in channels
                ]
                outputs.append(
                    Output(targets, self._partitioner(edge, len(targets)), self._side(vertex, edge))
                )
        tail = vertex.nodes[-1]
        if tail.sink is not None:
            subtask.sink = self._sink(tail, subtask)
            outputs.append(Output([subtask.sink], Forward()))
        downstream = self._downstream(outputs, subtask, vertex)
        stages = self._stages(vertex, subtask)
        chain = compile_chain(
            stages, subtask.ctx, mode=self._config.chains, carry_origins=vertex.carry_origins
        )
        subtask.wire(fuse(chain, downstream, finished=vertex.ended))

    @staticmethod
    def _side(vertex: PlanVertex, edge: PlanEdge) -> SideOutput | None:
        if edge.side_tag is None:
            return None
        writer = next(node.uid for node in vertex.nodes if node.id == edge.source_node)
        return SideOutput(writer, edge.side_tag)

    def _downstream(
        self, outputs: list[Output], subtask: Subtask, vertex: PlanVertex
    ) -> BatchSubscriber[Any]:
        if not outputs:
            raise GraphError(
                f"the output of {vertex.name} is not connected to anything",
                hint="end the stream with .sink(...)",
            )
        only = outputs[0]
        if len(outputs) == 1 and len(only.consumers) == 1 and only.side is None:
            return only.consumers[0]
        fanout = Fanout(outputs)
        subtask.ctx.send_side = fanout.send_side
        return fanout

    def _sink(self, node: StreamNode, subtask: Subtask) -> SinkTail:
        if node.sink is None:
            raise InternalError(f"{node.uid} is not a sink")
        index, storage = subtask.participant.subtask, self._storage
        ctx = RunningSinkContext(
            subtask.ctx,
            node.uid,
            SinkLogs(storage, node.uid, index),
            self._config.checkpoint_interval,
            self._choices,
            _nothing_to_check if storage is None else storage.ensure_newest,
            lambda: self._fields(node),
        )
        return SinkTail(copy.copy(node.sink), ctx, self._config.sink_batch_size, self._post)

    def _fields(self, node: StreamNode) -> Sequence[str] | None:
        """Ask the sources whose records reach a sink as they are; None unless all of them say the same."""
        uids = {source.uid for source in self._plan.stream.record_sources(node.id)}
        told = [source.opened.record_fields() for source in self._sources if source.uid in uids]
        return told[0] if told and all(fields == told[0] for fields in told) else None

    def _stages(self, vertex: PlanVertex, subtask: Subtask) -> Sequence[Stage]:
        hosted = {each.uid: each for each in subtask.operators}
        stages: list[Stage] = []
        for node in vertex.nodes:
            if isinstance(node.spec, Step):
                stages.append(StepStage(node.uid, subtask.functions.adopt(node.uid, node.spec)))
            elif isinstance(node.spec, OperatorFactory):
                found = hosted[node.uid]
                stages.append(OperatorStage(node.uid, found.operator, found.ctx.timers))
        return stages

    def _partitioner(self, edge: PlanEdge, consumers: int) -> Partitioner:
        if edge.partitioning is Partitioning.HASH:
            if edge.selector is None or edge.exchange is None:
                raise InternalError("a hash edge without a key selector")
            return ByKey(consumers, self._config.max_parallelism, edge.selector, edge.exchange.uid)
        if edge.partitioning is Partitioning.REBALANCE and consumers > 1:
            return Rebalance(consumers)
        if edge.partitioning is Partitioning.BROADCAST:
            return Broadcast(consumers)
        return Forward()


def _nothing_to_check() -> None:
    """Without storage there is one attempt only."""
