"""explain: what it must say, and that each format can be read by what it is for."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.config import JobConfig, resolve
from pipeline.core.job import JobMode
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy
from pipeline.graph.builder import Output
from pipeline.graph.explain import Explanation, explain
from pipeline.graph.explain_json import explain_json
from pipeline.graph.explain_mermaid import explain_mermaid
from pipeline.graph.explain_text import explain_text
from pipeline.graph.job_graph import build_job_graph
from pipeline.operators.filter import Filter
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


def facts(graph: Graph, mode: JobMode = JobMode.STREAMING, **settings: Any) -> Explanation:
    resolved = resolve(JobConfig(**settings), mode, durable=True, environment={})
    return explain(build_job_graph(graph.stream(), resolved.values), resolved)


def line(*middle: Any, source: FakeSource | None = None, sink: FakeSink | None = None) -> Graph:
    graph = Graph()
    graph.line(source or FakeSource(), *middle, sink or FakeSink())
    return graph


def windowed(*watermarks: WatermarkStrategy | None) -> Graph:
    graph = Graph()
    sources = [
        graph.add_source(FakeSource(f"topic-{number}"), watermarks=strategy)
        for number, strategy in enumerate(watermarks)
    ]
    assigner = AssignWindows(TumblingTimeWindows.of(timedelta(minutes=5)), str)
    joined = graph.add_operator(Union(), sources)
    graph.line(
        KeyBy(str),
        assigner,
        WindowReduce(Windowing(assigner.assigner, str), function=merge),
        FakeSink(),
        behind=joined,
    )
    return graph


def branched() -> Graph:
    graph = Graph()
    left = graph.line(FakeSource("left"), Map(parse, ErrorPolicy.dead_letter()))
    both = graph.add_operator(Union(), [left, graph.line(FakeSource("right"))])
    graph.line(Filter(lambda value: value > 1), FakeSink("out"), behind=both)
    graph.line(FakeSink('the "dead"'), behind=Output(left.node, DEAD_LETTERS))
    return graph


class TestFacts:
    def test_windows_say_which_time_they_go_by(self) -> None:
        """One source without watermarks is enough for processing time, and it is named."""
        strategy = WatermarkStrategy.monotonic(timestamp=int)
        assert "event time" in explain_text(facts(windowed(strategy, strategy)))
        text = explain_text(facts(windowed(strategy, None)))
        assert "processing time: no watermarks from kafka:topic-1" in text

    @pytest.mark.parametrize(
        ("source", "sink", "said"),
        [
            ({}, {}, "exactly-once; a restart continues from the last checkpoint"),
            ({}, {"guarantee": "at-least-once"}, "at-least-once; a restart"),
            ({}, {"guarantee": "none"}, "no guarantee; a restart"),
            ({"resumable": False}, {}, "exactly-once; kafka:events cannot resume, so the job is one epoch"),
            ({"guarantee": "at-least-once if rows change"}, {}, "kafka:events: at-least-once if rows change"),
        ],
    )
    def test_the_guarantee_follows_from_sources_and_sinks(
        self, source: dict[str, Any], sink: dict[str, Any], said: str
    ) -> None:
        graph = line(source=FakeSource(**source), sink=FakeSink(**sink))
        assert said in facts(graph).guarantee

    def test_that_a_source_cannot_resume_is_said_once_with_its_reason(self) -> None:
        """In its own words where it has any, and what follows for the job where that is promised."""
        words = "it has no key: it starts over"
        explained = facts(line(source=FakeSource(resumable=False, guarantee=words)))
        assert words not in explained.guarantee
        assert explained.nodes[0].details[0] == words

    def test_the_weakest_sink_decides_and_is_named(self) -> None:
        graph = Graph()
        source = graph.line(FakeSource())
        graph.line(FakeSink("strong"), behind=source)
        graph.line(FakeSink("weak", guarantee="at-least-once"), behind=source)
        assert facts(graph).guarantee.startswith("at-least-once (because of kafka:weak)")

    def test_without_checkpoints_nothing_is_promised_across_failures(self) -> None:
        explained = facts(line(), JobMode.SQL_TASK, checkpoint_rows=None)
        assert explained.guarantee == "no checkpoints: a run that fails starts over from the beginning"

    def test_each_setting_has_its_provenance(self) -> None:
        resolved = resolve(
            JobConfig(checkpoint_interval=timedelta(seconds=90)),
            JobMode.STREAMING,
            durable=True,
            environment={"PIPELINE_BUFFER_SIZE": "2048"},
            command_line={"chains": "interpreted"},
        )
        told = explain(build_job_graph(line().stream(), resolved.values), resolved).settings
        by_name = {setting.name: (setting.value, setting.provenance) for setting in told}
        assert by_name["checkpoint_interval"] == ("90 s", "JobConfig")
        assert by_name["buffer_size"] == ("2,048", "environment")
        assert by_name["chains"] == ("interpreted", "command line")
        assert by_name["source_batch_size"] == ("the source's own", "default")
        assert by_name["restart"] == ("fixed delay: 3 attempts, 5 s apart", "default")
        assert by_name["retain_on_cancel"] == ("yes", "default")


class TestText:
    def test_it_names_each_operator_with_function_and_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """uid, function, file:line relative to the current folder, error policy."""
        monkeypatch.chdir(Path(__file__).parent)
        text = explain_text(facts(line(Map(parse, ErrorPolicy.skip()), KeyBy(len), Reduce(merge, len))))
        row = next(row for row in text.splitlines() if "map:parse" in row)
        assert re.fullmatch(r"  Map +map:parse +parse +conftest\.py:\d+ +on error: skip", row)
        assert re.search(r"KeyBy +key_by:len +len +built in", text)

    def test_columns_line_up_and_nothing_trails(self) -> None:
        """It is read in a terminal."""
        text = explain_text(facts(branched()))
        assert not [row for row in text.splitlines() if row != row.rstrip()]
        rows = text.split("stream graph")[1].split("\n\n")[0].splitlines()[1:]
        assert len({re.match(r"  \S+ +", row).end() for row in rows}) == 1  # pyright: ignore[reportOptionalMemberAccess]

    def test_it_shows_branches_and_why_chains_break(self) -> None:
        text = explain_text(facts(branched()))
        assert "reads map:parse, kafka:right" in text
        assert "reads map:parse (side output 'dead-letters')" in text
        assert re.search(r"map:parse → union +forward +union has 2 inputs", text)
        assert "[Source+Map] kafka:left → [Sink] kafka:the \"dead\" (side output 'dead-letters')" in text

    def test_a_vertex_without_transfers_is_shown(self) -> None:
        """A job may be several lines that never meet."""
        graph = line()
        graph.line(FakeSource("b"), FakeSink("c"))
        text = explain_text(facts(graph))
        assert "[Source+Sink] kafka:events\n  [Source+Sink] kafka:b\n" in text
        assert "where chains break" not in text

    def test_parallel_vertices_are_counted(self) -> None:
        text = explain_text(facts(line(Map(parse)), parallelism=4))
        assert "[Map] map:parse: parallelism 4" in text


class TestJson:
    def test_it_is_one_object_whose_ids_agree(self) -> None:
        told = json.loads(explain_json(facts(branched())))
        nodes = {node["id"] for node in told["stream_graph"]["nodes"]}
        vertices = {vertex["id"] for vertex in told["job_graph"]["vertices"]}
        assert nodes == {node for vertex in told["job_graph"]["vertices"] for node in vertex["nodes"]}
        assert {e[end] for e in told["stream_graph"]["edges"] for end in ("source", "target")} <= nodes
        assert {e[end] for e in told["job_graph"]["edges"] for end in ("source", "target")} <= vertices
        broken = [edge for edge in told["stream_graph"]["edges"] if not edge["fused"]]
        assert len(broken) == len(told["job_graph"]["edges"])

    def test_it_holds_every_fact_of_an_operator(self) -> None:
        told = json.loads(explain_json(facts(line(Map(parse, ErrorPolicy.retry(2))))))
        node = told["stream_graph"]["nodes"][1]
        assert node["uid"] == "map:parse"
        assert node["function"]["name"] == "parse"
        assert node["function"]["file"].endswith("conftest.py")
        assert node["function"]["line"] > 0
        assert node["on_error"] == "retry 2×, then fail"
        assert (told["job"], told["mode"]) == ("job", "STREAMING")
        assert told["config"]["parallelism"] == {"value": "1", "from": "default"}


LABEL = r'"(?:[\w .,:/\-+()]|#\d+;|<br/>)*"'
MERMAID = re.compile(
    rf"flowchart LR|  subgraph v\d+\[{LABEL}\]|    n\d+\[{LABEL}\]|  end|  n\d+ (-->|==>\|{LABEL}\|) n\d+"
)


class TestMermaid:
    def test_every_line_is_of_the_flowchart_grammar(self) -> None:
        """Quotes, angle brackets and whatever else a label holds are entities."""
        text = explain_mermaid(facts(branched()))
        assert not [row for row in text.splitlines() if not MERMAID.fullmatch(row)]
        assert "filter:#60;lambda#62;" in text
        assert "kafka:the #34;dead#34;" in text

    def test_vertices_are_boxes_and_transfers_thick_arrows(self) -> None:
        graph = line(Map(parse), KeyBy(len), Reduce(merge, len))
        text = explain_mermaid(facts(graph))
        assert re.findall(r'subgraph v\d+\["(.*)"\]', text) == ["Source+Map", "KeyBy", "Reduce+Sink"]
        assert re.findall(r"n\d [-=]+>.* n\d", text) == [
            "n0 --> n1",
            'n1 ==>|"forward"| n2',
            'n2 ==>|"hash"| n3',
            "n3 --> n4",
        ]
