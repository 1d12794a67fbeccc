"""Which neighbours become one vertex: one pure function for each rule, and the reason where one says no.

The rules are those of Flink's `StreamingJobGraphGenerator.isChainable`, as far as a job in one process
has what they speak of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pipeline.graph.buffers import Buffer
from pipeline.graph.stream_graph import StreamEdge, StreamNode
from pipeline.operators.base import Chaining, Partitioning


@dataclass(frozen=True, slots=True)
class Link:
    """An edge with all that the rules look at.

    Args:
        upstream_outputs: edges out of the upstream's main output; side outputs do not count.
        downstream_inputs: edges into the downstream.
        upstream_parallelism, downstream_parallelism: subtasks of each.
        buffer: the buffer with a strategy between the two, None where there is none.
        clock_meets_source: whether a source would share its thread with an operator that time reaches while
            the source reads.
    """

    edge: StreamEdge
    upstream: StreamNode
    downstream: StreamNode
    upstream_outputs: int
    downstream_inputs: int
    upstream_parallelism: int
    downstream_parallelism: int
    buffer: Buffer | None = None
    clock_meets_source: bool = False


Rule = Callable[[Link], str | None]
"""Returns why the two may not be fused, or None if this rule does not mind."""


def side_output_breaks(link: Link) -> str | None:
    """A side output leaves its chain."""
    tag = link.edge.side_tag
    return None if tag is None else f"the side output {tag.name!r} leaves the chain"


def exchange_stands_alone(link: Link) -> str | None:
    """An exchange is a vertex of the plan; at run time it is the transfer between its neighbours."""
    downstream = link.downstream
    return None if downstream.exchange is None else f"{downstream.kind} is a vertex of its own"


def edge_is_forward(link: Link) -> str | None:
    """Only a forward edge keeps each record in its subtask."""
    partitioning = link.edge.partitioning
    return None if partitioning is Partitioning.FORWARD else f"records are exchanged by {partitioning}"


def downstream_has_one_input(link: Link) -> str | None:
    """A chain is a line: nothing joins it midway."""
    inputs = link.downstream_inputs
    return None if inputs == 1 else f"{link.downstream.uid} has {inputs} inputs"


def upstream_has_one_output(link: Link) -> str | None:
    """A chain is a line: nothing branches off it midway."""
    outputs = link.upstream_outputs
    return None if outputs == 1 else f"{link.upstream.uid} has {outputs} outputs"


def parallelism_is_equal(link: Link) -> str | None:
    """One subtask of the chain is one subtask of each of its operators."""
    before, behind = link.upstream_parallelism, link.downstream_parallelism
    return None if before == behind else f"parallelism changes from {before} to {behind}"


def upstream_allows(link: Link) -> str | None:
    """The upstream may refuse any neighbour."""
    alone = link.upstream.chaining is Chaining.NEVER
    return f"{link.upstream.uid} is kept out of chains" if alone else None


def downstream_allows(link: Link) -> str | None:
    """The downstream may refuse a neighbour before it, or any."""
    if link.downstream.chaining is Chaining.ALWAYS:
        return None
    if link.downstream.chaining is Chaining.HEAD:
        return f"{link.downstream.uid} starts a new chain"
    return f"{link.downstream.uid} is kept out of chains"


def clock_needs_its_own_thread(link: Link) -> str | None:
    """A source's thread, which reads, cannot wait for the clock."""
    name = link.downstream.uid
    return f"time moves for {name} while the source reads" if link.clock_meets_source else None


def no_buffer_with_a_strategy_between(link: Link) -> str | None:
    """A buffer with a strategy is a queue with state, between two threads."""
    buffer = link.buffer
    if buffer is None or not buffer.of_job:
        return None  # the user's starts a chain anyway
    return f"the job's {buffer.strategy} buffer is directly downstream of its source"


RULES: Final[tuple[Rule, ...]] = (
    side_output_breaks,
    exchange_stands_alone,
    edge_is_forward,
    downstream_has_one_input,
    upstream_has_one_output,
    parallelism_is_equal,
    upstream_allows,
    downstream_allows,
    clock_needs_its_own_thread,
    no_buffer_with_a_strategy_between,
)
"""All must agree; the first that does not supplies the reason that `explain` shows."""


def why_not_fused(link: Link) -> str | None:
    """Return why the two nodes of an edge stay apart, or None if they become one vertex."""
    return next((reason for rule in RULES if (reason := rule(link)) is not None), None)
