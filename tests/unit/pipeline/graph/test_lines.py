"""Which chains run as one over a key_by, and what keeps them apart."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.config import BackpressureStrategy
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy
from pipeline.graph.builder import Output
from pipeline.graph.job_graph import JobGraph
from pipeline.graph.plan import physical
from pipeline.operators.backpressure import Backpressure
from pipeline.operators.base import Chaining
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

WINDOWS = TumblingTimeWindows.of(timedelta(minutes=5))
FOLD = WindowReduce(Windowing(WINDOWS, str), function=merge)


def names(job: JobGraph) -> list[str]:
    return [vertex.name for vertex in physical(job).vertices]


def test_one_subtask_before_a_key_by_and_one_after_are_a_line() -> None:
    """It keeps the id of its first vertex and all nodes in their order; no edge is left."""
    graph = Graph()
    graph.line(FakeSource(), Map(parse), KeyBy(len), Reduce(merge, len), FakeSink())
    plan = physical(graph.job())
    (vertex,) = plan.vertices
    assert (vertex.id, vertex.name) == (0, "Source+Map+KeyBy+Reduce+Sink")
    assert [node.id for node in vertex.nodes] == [0, 1, 2, 3, 4]
    assert plan.edges == ()


def test_the_job_graph_stays_as_it_is() -> None:
    """What is explained is what the user wrote: three vertices."""
    graph = Graph()
    graph.line(FakeSource(), KeyBy(len), Reduce(merge, len), FakeSink())
    assert [vertex.name for vertex in graph.job().vertices] == ["Source", "KeyBy", "Reduce+Sink"]


def test_a_line_may_go_over_several_key_bys() -> None:
    graph = Graph()
    graph.line(FakeSource(), KeyBy(len), Reduce(merge, len), KeyBy(str), Reduce(merge, str), FakeSink())
    assert names(graph.job()) == ["Source+KeyBy+Reduce+KeyBy+Reduce+Sink"]


def test_the_edges_of_a_line_are_those_of_its_vertices() -> None:
    """One into its first vertex, and one out of the last."""
    graph = Graph()
    joined = graph.add_operator(Union(), [graph.line(FakeSource("a")), graph.line(FakeSource("b"))])
    summed = graph.line(KeyBy(len), Reduce(merge, len), behind=joined)
    for target in ("x", "y"):
        graph.line(FakeSink(target), behind=summed)
    plan = physical(graph.job())
    assert [vertex.name for vertex in plan.vertices] == [
        "Source",
        "Source#2",
        "Union+KeyBy+Reduce",
        "Sink",
        "Sink#2",
    ]
    line = plan.vertices[2].id
    assert [(edge.source, edge.target) for edge in plan.edges if edge.target == line] == [
        (0, line),
        (1, line),
    ]
    assert {edge.source for edge in plan.edges if edge.target > line} == {line}


class TestApart:
    """What requires a separate thread for the operators after the key_by."""

    def behind(self, *before: Any, then: Any = FOLD, **settings: Any) -> list[str]:
        graph = Graph()
        graph.line(FakeSource(), *before, KeyBy(str), then, FakeSink(guarantee="none"))
        return names(graph.job(**settings))

    def test_several_subtasks(self) -> None:
        assert "KeyBy" not in "".join(self.behind(then=Reduce(merge, str), parallelism=2))

    def test_a_buffer_of_the_job(self) -> None:
        assert self.behind(then=Reduce(merge, str), backpressure=BackpressureStrategy.DROP) == [
            "Source",
            "Reduce+Sink",
        ]

    def test_a_buffer_before_it_is_the_head_of_the_line(self) -> None:
        before = Backpressure(BackpressureStrategy.BUFFER, 10)
        assert self.behind(before, then=Reduce(merge, str)) == ["Source", "Backpressure+KeyBy+Reduce+Sink"]

    @pytest.mark.parametrize("chaining", [Chaining.HEAD, Chaining.NEVER])
    def test_a_user_who_starts_a_chain_after_it(self, chaining: Chaining) -> None:
        """It then reads on while the source waits for the network."""
        graph = Graph()
        reduced = graph.line(FakeSource(), KeyBy(len), Reduce(merge, len))
        graph.set_chaining(reduced.node, chaining)
        graph.line(FakeSink(), behind=reduced)
        assert names(graph.job())[:2] == ["Source", "Reduce+Sink" if chaining is Chaining.HEAD else "Reduce"]

    def test_a_vertex_before_it_that_is_kept_out_of_chains(self) -> None:
        graph = Graph()
        mapped = graph.line(FakeSource(), Map(parse))
        graph.set_chaining(mapped.node, Chaining.NEVER)
        graph.line(KeyBy(len), Reduce(merge, len), FakeSink(), behind=mapped)
        assert names(graph.job()) == ["Source", "Map", "Reduce+Sink"]

    def test_a_second_reader_of_the_keyed_stream(self) -> None:
        graph = Graph()
        keyed = graph.line(FakeSource(), KeyBy(len))
        for target in "ab":
            graph.line(Reduce(merge, len), FakeSink(target), behind=keyed)
        assert names(graph.job()) == ["Source", "Reduce+Sink", "Reduce+Sink#2"]

    def test_a_second_reader_of_what_is_keyed(self) -> None:
        graph = Graph()
        source = graph.line(FakeSource())
        graph.line(FakeSink("all"), behind=source)
        graph.line(KeyBy(len), Reduce(merge, len), FakeSink("sums"), behind=source)
        assert names(graph.job()) == ["Source", "Sink", "Reduce+Sink"]

    @pytest.mark.parametrize("confirms", [True, False])
    def test_windows_that_the_silence_of_a_source_may_fire(self, confirms: bool) -> None:
        """Unless the source itself says when it is silent, and so in its own thread."""
        graph, idle = Graph(), WatermarkStrategy.monotonic().with_idleness(timedelta(seconds=1))
        source = FakeSource(confirms_silence=confirms)
        graph.line(KeyBy(str), FOLD, FakeSink(), behind=graph.add_source(source, watermarks=idle))
        together = ["Source+KeyBy+Reduce+Sink"]
        assert names(graph.job()) == (together if confirms else ["Source", "Reduce+Sink"])

    def test_a_side_output_that_is_keyed(self) -> None:
        graph = Graph()
        mapped = graph.line(FakeSource(), Map(parse, ErrorPolicy.dead_letter()))
        graph.line(FakeSink("out"), behind=mapped)
        graph.line(KeyBy(len), Reduce(merge, len), FakeSink("dead"), behind=Output(mapped.node, DEAD_LETTERS))
        assert names(graph.job()) == ["Source+Map+Sink", "Reduce+Sink"]

    def test_several_inputs(self) -> None:
        graph = Graph()
        keyed = [graph.line(FakeSource(name), KeyBy(len)) for name in "ab"]
        graph.line(Reduce(merge, len), FakeSink(), behind=graph.add_operator(Union(), keyed))
        assert len(names(graph.job())) == 3


class TestWindows:
    def line(self, watermarks: WatermarkStrategy | None, *before: Any) -> list[str]:
        graph = Graph()
        source = graph.add_source(FakeSource(), watermarks=watermarks)
        graph.line(*before, KeyBy(str), AssignWindows(WINDOWS, str), FOLD, FakeSink(), behind=source)
        return names(graph.job())

    def test_those_of_event_time_are_part_of_a_line(self) -> None:
        assert self.line(WatermarkStrategy.monotonic(timestamp=int)) == ["Source+KeyBy+Window+Reduce+Sink"]

    def test_those_that_go_by_the_clock_need_a_thread_that_waits_for_it(self) -> None:
        """A source's waits for the network."""
        assert self.line(None) == ["Source", "Window+Reduce+Sink"]

    def test_a_thread_that_reads_from_a_queue_can_wait_for_both(self) -> None:
        before = Backpressure(BackpressureStrategy.BUFFER, 10)
        assert self.line(None, before) == ["Source", "Backpressure+KeyBy+Window+Reduce+Sink"]
