"""JobGraph: what becomes one vertex, and what remains a transfer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.core.config import BackpressureStrategy
from pipeline.core.errors import ConfigError
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy
from pipeline.graph.builder import Output
from pipeline.graph.explain_text import outline
from pipeline.graph.job_graph import JobGraph
from pipeline.operators.base import Chaining, Partitioning
from pipeline.operators.filter import Filter
from pipeline.operators.key_by import KeyBy
from pipeline.operators.map import Map
from pipeline.operators.reduce import Reduce
from pipeline.operators.union import Union
from pipeline.operators.window import AssignWindows
from pipeline.operators.window_operator import Windowing
from pipeline.operators.window_reduce import WindowReduce
from pipeline.windows.assigners import TumblingTimeWindows

from .conftest import FakeSink, FakeSource, Graph, merge, parse


def seven_nodes() -> Graph:
    graph = Graph()
    windows = AssignWindows(TumblingTimeWindows.of(timedelta(minutes=5)), str)
    graph.line(
        FakeSource(),
        Map(parse),
        Filter(bool),
        KeyBy(str),
        windows,
        WindowReduce(Windowing(windows.assigner, str), function=merge),
        FakeSink(),
    )
    return graph


def names(graph: JobGraph) -> list[str]:
    return [vertex.name for vertex in graph.vertices]


def test_the_example_of_the_specification() -> None:
    """SPEC 3: 7 nodes and 6 transfers become 3 vertices and 2 transfers."""
    stream, job = seven_nodes().stream(), seven_nodes().job()
    assert (len(stream.nodes), len(stream.edges)) == (7, 6)
    assert (len(job.vertices), len(job.edges)) == (3, 2)
    assert outline(job) == ["[Source+Map+Filter] → KeyBy → [Window+Reduce+Sink]"]
    assert [edge.partitioning for edge in job.edges] == [Partitioning.FORWARD, Partitioning.HASH]


def test_a_line_of_stateless_operators_is_one_vertex() -> None:
    graph = Graph()
    graph.line(FakeSource(), Map(parse), Filter(bool), FakeSink())
    assert names(graph.job()) == ["Source+Map+Filter+Sink"]
    assert graph.job().edges == ()


def test_parallelism_breaks_where_it_changes() -> None:
    """A source is one, a sink as many as it can, the rest as many as the job says."""
    graph = Graph()
    graph.line(FakeSource(), Map(parse), KeyBy(str), Reduce(merge, str), FakeSink(max_parallelism=2))
    job = graph.job(parallelism=4)
    assert [(vertex.name, vertex.parallelism) for vertex in job.vertices] == [
        ("Source", 1),
        ("Map", 4),
        ("KeyBy", 4),
        ("Reduce", 4),
        ("Sink", 2),
    ]
    assert [edge.partitioning for edge in job.edges] == ["rebalance", "forward", "hash", "rebalance"]


def test_an_operators_own_parallelism_outranks_the_jobs() -> None:
    graph = Graph()
    behind_map = graph.line(FakeSource(), Map(parse))
    graph.set_parallelism(behind_map.node, 3)
    graph.line(FakeSink(max_parallelism=8), behind=behind_map)
    assert [vertex.parallelism for vertex in graph.job(parallelism=2).vertices] == [1, 3, 2]


def test_parallelism_above_the_key_groups_is_refused() -> None:
    graph = Graph()
    behind_map = graph.line(FakeSource(), Map(parse))
    graph.set_parallelism(behind_map.node, 9)
    graph.line(FakeSink(), behind=behind_map)
    with pytest.raises(ConfigError, match=r"map:parse .* parallelism 9, above max_parallelism 8"):
        graph.job(max_parallelism=8)


def test_a_branch_and_a_union_break_the_chain() -> None:
    """A chain is a line: each reader of a stream and each joint of streams begins a vertex."""
    graph = Graph()
    source = graph.line(FakeSource())
    both = graph.add_operator(Union(), [graph.line(Map(parse), behind=source), source])
    graph.line(Filter(bool), FakeSink(), behind=both)
    job = graph.job()
    assert names(job) == ["Source", "Map", "Union+Filter+Sink"]
    assert [edge.stream_edge.input_index for edge in job.inputs(2)] == [0, 1]


def test_a_side_output_breaks_only_itself() -> None:
    """Its edge leaves the chain, but is not the upstream's second output: the main stream stays fused."""
    graph = Graph()
    behind_map = graph.line(FakeSource(), Map(parse, ErrorPolicy.dead_letter()))
    graph.line(Filter(bool), FakeSink("out"), behind=behind_map)
    graph.line(FakeSink("dead"), behind=Output(behind_map.node, DEAD_LETTERS))
    job = graph.job()
    assert names(job) == ["Source+Map+Filter+Sink", "Sink"]
    (edge,) = job.edges
    assert edge.stream_edge.side_tag == DEAD_LETTERS
    assert edge.source == 0


def test_the_user_may_break_chains() -> None:
    """`start_new_chain` cuts before an operator, `disable_chaining` on both sides."""
    graph = Graph()
    source = graph.line(FakeSource())
    first = graph.line(Map(parse), behind=source)
    second = graph.line(Filter(bool), behind=first)
    graph.line(FakeSink(), behind=second)
    graph.set_chaining(first.node, Chaining.HEAD)
    assert names(graph.job()) == ["Source", "Map+Filter+Sink"]
    graph.set_chaining(first.node, Chaining.NEVER)
    assert names(graph.job()) == ["Source", "Map", "Filter+Sink"]


def test_a_dropping_buffer_is_after_the_source() -> None:
    """SPEC 4: a strategy other than BUFFER is a queue with state, so it breaks the chain there."""
    graph = Graph()
    graph.line(FakeSource(), Map(parse), FakeSink())
    assert names(graph.job(backpressure=BackpressureStrategy.LATEST, accept_loss=True)) == [
        "Source",
        "Map+Sink",
    ]
