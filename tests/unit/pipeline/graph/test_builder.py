"""GraphBuilder: what it refuses at the line that is wrong, and what it keeps of each node."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from pipeline.core.errors import GraphError
from pipeline.core.policy import DEAD_LETTERS
from pipeline.graph.builder import Output
from pipeline.operators.base import Partitioning
from pipeline.operators.filter import Filter
from pipeline.operators.key_by import KeyBy
from pipeline.operators.map import Map
from pipeline.operators.reduce import Reduce
from pipeline.operators.union import Union

from .conftest import FakeSink, FakeSource, Graph, merge, parse


@pytest.mark.parametrize(
    ("wrong", "message", "hint"),
    [
        ([1, 2], r"expected a source, found \[1, 2\]", "CollectionSource"),
        (FakeSource, "expected a source, found the class FakeSource", "call it: FakeSource"),
        (FakeSink(), "expected a source, found <", "pipeline.spi.source.Source"),
    ],
)
def test_what_is_not_a_source_is_refused(wrong: Any, message: str, hint: str) -> None:
    with pytest.raises(GraphError, match=message) as raised:
        Graph().add_source(wrong)
    assert hint in str(raised.value.hint)


def test_what_is_not_a_sink_is_refused() -> None:
    graph = Graph()
    with pytest.raises(GraphError, match="expected a sink, found <built-in function print>"):
        graph.add_sink(print, graph.line(FakeSource()))  # pyright: ignore[reportArgumentType]


def test_what_is_not_a_strategy_is_refused() -> None:
    with pytest.raises(GraphError, match="watermarks must be a WatermarkStrategy"):
        Graph().add_source(FakeSource(), watermarks=5)  # pyright: ignore[reportArgumentType]


def test_what_cannot_be_called_is_refused() -> None:
    graph = Graph()
    with pytest.raises(GraphError, match="map needs a function, found 5"):
        graph.line(FakeSource(), Map(5))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("uid", ["", " padded", "two\nlines", "x" * 201, 7])
def test_a_uid_is_printable_text(uid: Any) -> None:
    """It becomes part of file names and database keys."""
    with pytest.raises(GraphError, match="a uid must be"):
        Graph().add_source(FakeSource(), uid=uid)


def test_a_parallelism_is_at_least_one() -> None:
    graph = Graph()
    with pytest.raises(GraphError, match="at least 1"):
        graph.set_parallelism(graph.line(FakeSource()).node, 0)


def test_edges_after_a_key_by_go_by_hash() -> None:
    graph = Graph()
    graph.line(FakeSource(), Filter(bool), KeyBy(str), Reduce(merge, str), FakeSink())
    assert [edge.partitioning for edge in graph.stream().edges] == [
        Partitioning.FORWARD,
        Partitioning.FORWARD,
        Partitioning.HASH,
        Partitioning.FORWARD,
    ]


def test_a_name_changes_the_title_and_not_the_uid() -> None:
    graph = Graph()
    behind_map = graph.line(FakeSource(), Map(parse))
    graph.set_name(behind_map.node, "Read log line")
    node = graph.stream().nodes[1]
    assert (node.name, node.uid) == ("Read log line", "map:parse")


def test_the_graph_holds_no_running_part() -> None:
    """It can leave the process: what is not the user's own is plain data."""
    graph = Graph()
    graph.line(FakeSource(), Map(parse), KeyBy(len), Reduce(max, len), FakeSink())
    nodes = graph.stream().nodes
    again = pickle.loads(pickle.dumps([(node.uid, node.functions, node.spec) for node in nodes if node.spec]))
    assert again == [(node.uid, node.functions, node.spec) for node in nodes if node.spec]


def test_the_sources_upstream_of_a_node_are_known() -> None:
    graph = Graph()
    left, right = graph.line(FakeSource("left")), graph.line(FakeSource("right"))
    behind_left = graph.line(Map(parse), behind=left)
    graph.line(FakeSink(), behind=right)
    stream = graph.stream()
    assert [node.uid for node in stream.upstream_sources(behind_left.node)] == ["kafka:left"]


def test_the_sources_of_records_that_no_operator_has_made_are_known() -> None:
    """Their fields are those of the source; after a map, or of dead letters, they may be any."""
    graph = Graph()
    left, right = graph.line(FakeSource("left")), graph.line(FakeSource("right"))
    both = graph.add_operator(Union(), [graph.line(Filter(parse), behind=left), right])
    kept = graph.line(FakeSink("1"), behind=both)
    made = graph.line(FakeSink("2"), behind=graph.line(Map(parse), behind=left))
    mixed = graph.add_sink(
        FakeSink("3"), graph.add_operator(Union(), [both, graph.line(Map(parse), behind=left)])
    )
    letters = graph.line(FakeSink("4"), behind=Output(left.node, DEAD_LETTERS))
    stream = graph.stream()

    def sources(sink: Output) -> list[str]:
        return sorted(node.uid for node in stream.record_sources(sink.node))

    assert sources(kept) == ["kafka:left", "kafka:right"]
    assert sources(made) == sources(mixed) == sources(letters) == []
