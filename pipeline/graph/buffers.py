"""Which edges of a job have a buffer with a strategy, and what each may lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.core.config import UNSET, BackpressureStrategy, Settings
from pipeline.core.errors import ConfigError, GraphError
from pipeline.graph.stream_graph import StreamEdge, StreamGraph, StreamNode
from pipeline.operators.base import BufferSpec, Function
from pipeline.reactive.demand import MAX_BATCH

DEFAULT_SIZE: Final = MAX_BATCH
"""Records: as many as travel together at most, so that one burst of a source fits."""

_LOSSY: Final = (BackpressureStrategy.DROP, BackpressureStrategy.LATEST)


@dataclass(frozen=True, slots=True)
class Buffer:
    """A queue with a strategy on an edge; a checkpoint keeps what it holds.

    Args:
        uid: what its records are filed under in a checkpoint.
        strategy: what happens when it is full.
        size: records that it may hold, for each pair of subtasks; None for any number.
        on_drop: called with each record that is dropped.
        value_type: declares classes that occur in its records.
        of_job: whether it follows from the job's setting; otherwise the user put it there.
    """

    uid: str
    strategy: BackpressureStrategy
    size: int | None
    on_drop: Function | None = None
    value_type: Any = None
    of_job: bool = False

    @property
    def asks_without_limit(self) -> bool:
        """Whether what is before it is asked for everything, as Reactor's operators ask."""
        return self.strategy is not BackpressureStrategy.BUFFER or self.size is None

    def describe(self) -> str:
        """Say in one line what it does when it is full."""
        if self.strategy is BackpressureStrategy.LATEST:
            return "LATEST buffer of one record; a newer one replaces it, which is lost and counted"
        if self.size is None:
            return "BUFFER without a bound; loses nothing, takes all the memory it needs"
        name = "BUFFER" if self.strategy is BackpressureStrategy.BUFFER else f"{self.strategy.value} buffer"
        held = f"{name} of at most {self.size:,} records"
        return f"{held}; {_WHEN_FULL[self.strategy]}"


_WHEN_FULL: Final = {
    BackpressureStrategy.BUFFER: "when full it holds back what is before it and loses nothing",
    BackpressureStrategy.DROP: "when full it loses the newest records, and counts them",
    BackpressureStrategy.ERROR: (
        "when full the job fails and restarts from its last checkpoint: "
        "loses nothing with checkpoints and a source that resumes"
    ),
}


def buffers_of(graph: StreamGraph, config: Settings) -> dict[StreamEdge, Buffer]:
    """Return the buffer of each edge that has one.

    Those of the user are before their `backpressure` operator, those of the job after its sources, unless the
    user put one there.

    Raises:
        ConfigError: the strategy and the size do not go together, or the job promises exactly-once
            for records that it may lose without saying that this is meant.
        GraphError: a buffer could not be found again in a checkpoint.
    """
    buffers = {edge: buffer for edge in graph.edges if (buffer := _buffer(graph, edge, config)) is not None}
    for edge, buffer in buffers.items():
        _refuse_silent_loss(graph, edge, buffer, config)
    return buffers


def _buffer(graph: StreamGraph, edge: StreamEdge, config: Settings) -> Buffer | None:
    source, target = graph.nodes[edge.source], graph.nodes[edge.target]
    spec = _own_buffer(target)
    if spec is not None:
        return Buffer(target.uid, spec.strategy, spec.size, spec.on_drop, spec.value_type)
    if source.source is None:
        return None
    strategy, unbounded = config.backpressure, config.buffer_size is None
    if strategy is BackpressureStrategy.BUFFER and not unbounded:
        return None  # its demand holds the source back; that needs no queue
    size = DEFAULT_SIZE if config.buffer_size is UNSET else config.buffer_size
    return Buffer(
        _uid(graph, edge, config),
        strategy,
        check_size(strategy, size if isinstance(size, int) else None),
        of_job=True,
    )


def check_size(strategy: BackpressureStrategy, size: int | None) -> int | None:
    """Return how many records a strategy's buffer holds.

    Raises:
        ConfigError: the strategy says what happens when the buffer is full, and this one never is.
    """
    if strategy is BackpressureStrategy.LATEST:
        return 1
    if size is None and strategy is not BackpressureStrategy.BUFFER:
        raise ConfigError(
            f"backpressure {strategy} needs a bound, found buffer_size=None",
            hint="give it a buffer_size, or use BUFFER, which may be unbounded",
        )
    return size


def _uid(graph: StreamGraph, edge: StreamEdge, config: Settings) -> str:
    """Name the buffer after its source and, where the source has several readers, after its reader."""
    source, target = graph.nodes[edge.source], graph.nodes[edge.target]
    name = f"backpressure:{source.uid}"
    if len(graph.outputs(source.id)) == 1:
        return name
    if checkpointed(config) and not target.stable:
        raise GraphError(
            f"{source} has several readers, each with a {config.backpressure} buffer, and {target} has no "
            "name by which a checkpoint could match its buffer",
            hint='give it one: uid="…"',
        ).located(job=graph.job, operator=target.uid)
    return f"{name}:{target.uid}"


def _refuse_silent_loss(graph: StreamGraph, edge: StreamEdge, buffer: Buffer, config: Settings) -> None:
    if buffer.strategy not in _LOSSY or not checkpointed(config) or _accepts_loss(graph, edge, config):
        return
    promising = [
        node.uid
        for node in graph.downstream_sinks(edge.target)
        if node.sink is not None and node.sink.info.guarantee == "exactly-once"
    ]
    if promising:
        raise ConfigError(
            f"{buffer.uid} may lose records ({buffer.strategy}), but {', '.join(promising)} promises "
            "each of them exactly once",
            hint="accept this with accept_loss=True (JobConfig or backpressure(…)), or use BUFFER or ERROR",
        ).located(job=graph.job, operator=buffer.uid)


def _accepts_loss(graph: StreamGraph, edge: StreamEdge, config: Settings) -> bool:
    spec = _own_buffer(graph.nodes[edge.target])
    return config.accept_loss or (spec is not None and spec.accept_loss)


def _own_buffer(node: StreamNode) -> BufferSpec | None:
    return None if node.spec is None else node.spec.buffer


def checkpointed(config: Settings) -> bool:
    """Say whether a job with these resolved settings takes checkpoints."""
    return config.checkpoint_interval is not None or config.checkpoint_rows is not None


def losses(buffers: Mapping[StreamEdge, Buffer]) -> Sequence[str]:
    """Say for each lossy buffer what it loses, for the line about the job as a whole."""
    return [
        f"{buffer.uid} may lose records ({buffer.strategy})"
        for buffer in buffers.values()
        if buffer.strategy in _LOSSY
    ]
