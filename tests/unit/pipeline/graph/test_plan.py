"""The plan: what the runtime knows of vertices and exchanges."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pipeline.core.config import BackpressureStrategy
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy, SideTag
from pipeline.graph.builder import Output
from pipeline.graph.plan import JobPlan, physical
from pipeline.operators.backpressure import Backpressure
from pipeline.operators.key_by import KeyBy
from pipeline.operators.map import Map
from pipeline.operators.reduce import Reduce
from pipeline.operators.union import Union
from pipeline.operators.window import AssignWindows
from pipeline.operators.window_operator import Windowing
from pipeline.operators.window_reduce import WindowReduce
from pipeline.windows.assigners import TumblingTimeWindows
from pipeline.windows.watermarks import WatermarkStrategy

from .conftest import FakeSink, FakeSource, Graph, merge, parse


def carriers(plan: JobPlan) -> set[str]:
    return {vertex.name for vertex in plan.vertices if vertex.carry_origins}


def test_a_key_by_becomes_the_exchange_between_its_neighbours() -> None:
    """No vertex for it: the edge carries the selector, and knows whose output it reads."""
    graph = Graph()
    graph.line(FakeSource(), Map(parse), KeyBy(len), Reduce(merge, len), FakeSink())
    plan = physical(graph.job(parallelism=2))
    assert [vertex.name for vertex in plan.vertices] == ["Source", "Map", "Reduce", "Sink"]
    (edge,) = [edge for edge in plan.edges if edge.exchange is not None]
    assert (edge.source, edge.source_node, edge.target) == (1, 1, 3)
    assert (edge.partitioning, edge.selector, edge.selector_uid) == ("hash", len, "key_by:len")


def test_a_keyed_stream_with_two_readers_is_two_exchanges() -> None:
    graph = Graph()
    keyed = graph.line(FakeSource(), KeyBy(len))
    for target in ("a", "b"):
        graph.line(Reduce(merge, len), FakeSink(target), behind=keyed)
    plan = physical(graph.job())
    assert [(edge.source, edge.selector) for edge in plan.edges] == [(0, len), (0, len)]
    assert {edge.target for edge in plan.edges} == {2, 4}


def test_a_side_output_may_be_keyed() -> None:
    """The tag of the edge into the key_by is the tag of the exchange."""
    graph = Graph()
    behind_map = graph.line(FakeSource(), Map(parse, ErrorPolicy.dead_letter()))
    graph.line(FakeSink("out"), behind=behind_map)
    graph.line(KeyBy(len), Reduce(merge, len), FakeSink("dead"), behind=Output(behind_map.node, DEAD_LETTERS))
    (edge,) = physical(graph.job()).edges
    assert (edge.side_tag, edge.source_node, edge.selector) == (DEAD_LETTERS, 1, len)


def test_origins_travel_as_far_as_something_dead_letters() -> None:
    """Every vertex before one that dead-letters carries origins, at any distance; no other does."""
    graph = Graph()
    left, right = graph.line(FakeSource("left")), graph.line(FakeSource("right"))
    shouting = graph.add_operator(Union(), [left, graph.line(KeyBy(len), Reduce(merge, len), behind=right)])
    rejecting = graph.line(KeyBy(str), Reduce(merge, str, ErrorPolicy.dead_letter()), behind=shouting)
    graph.line(FakeSink("out"), behind=rejecting)
    graph.line(FakeSink("dead"), behind=Output(rejecting.node, DEAD_LETTERS))
    assert carriers(physical(graph.job(parallelism=2))) == {"Source", "Source#2", "Reduce", "Union"}


def ended(graph: Graph, *sources: str, **settings: Any) -> set[str]:
    """Name the vertices to which nothing comes once these sources have ended."""
    plan = physical(graph.job(**settings))
    found = plan.ended([f"kafka:{source}" for source in sources])
    return {vertex.name for vertex in plan.vertices if vertex.id in found}


def test_a_vertex_has_ended_once_all_its_sources_have() -> None:
    graph = Graph()
    left, right = graph.line(FakeSource("left")), graph.line(FakeSource("right"))
    graph.line(KeyBy(len), Reduce(merge, len), FakeSink("a"), behind=left)
    graph.line(FakeSink("b"), behind=graph.add_operator(Union(), [left, right]))
    assert ended(graph, parallelism=2) == set()
    assert ended(graph, "left", parallelism=2) == {"Source", "Reduce", "Sink"}
    assert ended(graph, "right", parallelism=2) == {"Source#2"}
    everything = {"Source", "Source#2", "Reduce", "Sink", "Union", "Sink#2"}
    assert ended(graph, "left", "right", parallelism=2) == everything


def test_a_barrier_overtakes_the_end_in_a_buffer() -> None:
    """So what reads from the buffer has not heard of it when the barrier comes."""
    graph = Graph()
    graph.line(FakeSource("in"), Backpressure(BackpressureStrategy.BUFFER, 7), Map(parse), FakeSink())
    assert ended(graph, "in") == {"Source"}


def test_no_origins_travel_for_a_dead_letter_of_the_first_vertex() -> None:
    """Inside its own vertex the records' origins are at hand."""
    graph = Graph()
    behind_map = graph.line(FakeSource(), Map(parse, ErrorPolicy.retry(2, then=ErrorPolicy.dead_letter())))
    graph.line(KeyBy(len), Reduce(merge, len), FakeSink("out"), behind=behind_map)
    graph.line(FakeSink("dead"), behind=Output(behind_map.node, DEAD_LETTERS))
    assert carriers(physical(graph.job())) == set()


def test_the_names_of_vertices_are_unique() -> None:
    """They are the labels of metrics and progress."""
    graph = Graph()
    source = graph.line(FakeSource())
    for target in "abc":
        graph.line(FakeSink(target), behind=source)
    assert [vertex.name for vertex in physical(graph.job()).vertices] == [
        "Source",
        "Sink",
        "Sink#2",
        "Sink#3",
    ]


def windowed(*strategies: WatermarkStrategy | None) -> JobPlan:
    graph = Graph()
    sources = [
        graph.add_source(FakeSource(f"topic-{number}"), watermarks=strategy)
        for number, strategy in enumerate(strategies)
    ]
    windows = TumblingTimeWindows.of(timedelta(minutes=5))
    fold = WindowReduce(Windowing(windows, str), function=merge)
    joined = graph.add_operator(Union(), sources)
    graph.line(KeyBy(str), AssignWindows(windows, str), fold, FakeSink(), behind=joined)
    return physical(graph.job())


def test_a_source_tells_event_time_where_windows_want_to_know() -> None:
    strategy = WatermarkStrategy.monotonic(timestamp=int)
    plan = windowed(strategy, strategy)
    assert [vertex.watermarks for vertex in plan.vertices] == [strategy, strategy, None]
    assert [vertex.carry_time for vertex in plan.vertices] == [True, True, False]


def test_it_does_not_where_nobody_wants_to_know() -> None:
    """Without windows, and with windows that have to go by the clock since one source has no event time."""
    strategy = WatermarkStrategy.monotonic(timestamp=int)
    graph = Graph()
    graph.line(FakeSink(), behind=graph.add_source(FakeSource(), watermarks=strategy))
    for plan in (physical(graph.job()), windowed(strategy, None)):
        assert not any(vertex.carry_time or vertex.watermarks for vertex in plan.vertices)


def test_a_plan_can_be_asked_for_a_vertex() -> None:
    graph = Graph()
    graph.line(FakeSource(), KeyBy(str), Reduce(merge, str), FakeSink())
    plan = physical(graph.job())
    assert [plan.vertex(vertex.id) for vertex in plan.vertices] == list(plan.vertices)
    assert SideTag("x") not in {edge.side_tag for edge in plan.edges}


def test_names_are_unique_whatever_users_name_theirs() -> None:
    """A vertex may have the name that another one's number makes."""
    graph = Graph()
    kinds = [type("Map#2", (Map,), {"kind": "map#2"}), Map, Map, Map]
    for number, kind in enumerate(kinds):
        source = graph.line(FakeSource(str(number)))
        graph.line(
            Reduce(merge, len),
            kind(parse),
            FakeSink(str(number)),
            behind=graph.line(KeyBy(len), behind=source),
        )
    names = [vertex.name for vertex in physical(graph.job(parallelism=2)).vertices]
    assert len(set(names)) == len(names)
