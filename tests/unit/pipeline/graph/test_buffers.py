"""Which edges have a buffer with a strategy, what it is filed under, and which jobs are refused for it."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.config import BackpressureStrategy, JobConfig, Settings, resolve
from pipeline.core.errors import ConfigError, GraphError
from pipeline.core.job import JobMode
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy
from pipeline.graph.buffers import DEFAULT_SIZE, Buffer, buffers_of, check_size
from pipeline.graph.builder import Output
from pipeline.graph.explain import explain
from pipeline.graph.explain_json import explain_json
from pipeline.graph.explain_mermaid import explain_mermaid
from pipeline.graph.explain_text import explain_text
from pipeline.graph.job_graph import JobGraph, build_job_graph
from pipeline.graph.plan import physical
from pipeline.operators.backpressure import Backpressure
from pipeline.operators.filter import Filter
from pipeline.operators.key_by import KeyBy
from pipeline.operators.map import Map
from pipeline.operators.reduce import Reduce

from .conftest import FakeSink, FakeSource, Graph, merge, parse

S = BackpressureStrategy


def line(*operators: Any, guarantee: str = "none") -> Graph:
    graph = Graph()
    graph.line(FakeSource(), *operators, FakeSink(guarantee=guarantee))
    return graph


def found(job: JobGraph) -> dict[str, tuple[S, int | None]]:
    return {buffer.uid: (buffer.strategy, buffer.size) for buffer in job.buffers.values()}


def names(job: JobGraph) -> list[str]:
    return [vertex.name for vertex in job.vertices]


class TestWhere:
    def test_a_job_with_the_defaults_has_none(self) -> None:
        job = line(Map(parse)).job()
        assert (found(job), names(job)) == ({}, ["Source+Map+Sink"])

    @pytest.mark.parametrize("strategy", [S.DROP, S.ERROR])
    def test_the_jobs_is_after_its_source(self, strategy: S) -> None:
        job = line(Map(parse)).job(backpressure=strategy)
        assert found(job) == {"backpressure:kafka:events": (strategy, DEFAULT_SIZE)}
        assert names(job) == ["Source", "Map+Sink"]

    def test_latest_holds_one(self) -> None:
        job = line().job(backpressure=S.LATEST, buffer_size=500)
        assert found(job) == {"backpressure:kafka:events": (S.LATEST, 1)}

    def test_a_buffer_of_any_size_is_a_queue_too(self) -> None:
        """`buffer_size=None` is without a bound; left out, demand holds the source back as ever."""
        assert found(line().job(buffer_size=None)) == {"backpressure:kafka:events": (S.BUFFER, None)}
        assert found(line().job(buffer_size=10)) == {}

    def test_the_users_is_where_it_was_put(self) -> None:
        job = line(Map(parse), Backpressure(S.DROP, 7), Filter(bool)).job()
        assert found(job) == {"backpressure:DROP": (S.DROP, 7)}
        assert names(job) == ["Source+Map", "Backpressure+Filter+Sink"]

    def test_the_users_after_a_source_replaces_the_jobs(self) -> None:
        job = line(Backpressure(S.BUFFER, 7)).job(backpressure=S.DROP)
        assert found(job) == {"backpressure:BUFFER": (S.BUFFER, 7)}

    def test_a_side_output_may_have_one(self) -> None:
        graph = Graph()
        behind = graph.line(FakeSource(), Map(parse, ErrorPolicy.dead_letter()))
        graph.line(FakeSink("out"), behind=behind)
        dead = Output(behind.node, DEAD_LETTERS)
        graph.line(Backpressure(S.DROP, 7), FakeSink("dead", "none"), behind=dead)
        assert found(graph.job()) == {"backpressure:DROP": (S.DROP, 7)}


class TestNames:
    def test_several_readers_have_one_each(self) -> None:
        graph = Graph()
        source = graph.line(FakeSource())
        graph.line(Map(parse), FakeSink("a", "none"), behind=source)
        graph.line(Filter(bool), FakeSink("b", "none"), behind=source)
        assert list(found(graph.job(backpressure=S.DROP))) == [
            "backpressure:kafka:events:map:parse",
            "backpressure:kafka:events:filter:bool",
        ]

    def test_a_reader_without_a_name_is_refused(self) -> None:
        """Its number would name another reader's buffer once the job is changed."""
        graph = Graph()
        source = graph.line(FakeSource())
        graph.line(Map(lambda value: value), FakeSink("a", "none"), behind=source)
        graph.line(Filter(bool), FakeSink("b", "none"), behind=source)
        with pytest.raises(GraphError, match="has no name"):
            graph.job(backpressure=S.DROP)

    def test_readers_after_one_exchange_are_told_apart(self) -> None:
        graph = Graph()
        keyed = graph.line(FakeSource(), KeyBy(str))
        graph.line(Reduce(merge, str), FakeSink("a", "none"), behind=keyed)
        graph.line(Reduce(max, str), FakeSink("b", "none"), behind=keyed)
        plan = physical(graph.job(backpressure=S.DROP))
        assert sorted(plan.lanes()) == [
            "backpressure:kafka:events:reduce:max",
            "backpressure:kafka:events:reduce:merge",
        ]

    def test_the_buffer_before_an_exchange_is_after_it(self) -> None:
        """Each subtask reads from a buffer of its own, not from a queue that was filled from one."""
        job = line(KeyBy(str), Reduce(merge, str)).job(backpressure=S.DROP, parallelism=3)
        assert physical(job).lanes() == {"backpressure:kafka:events": 3}


class TestFreshness:
    def test_what_is_after_latest_collects_nothing(self) -> None:
        job = line(Backpressure(S.LATEST, 1), KeyBy(str), Reduce(merge, str)).job()
        plan = physical(job)
        fresh = {vertex.name: plan.is_fresh(vertex.id) for vertex in plan.vertices}
        assert fresh == {"Source": False, "Backpressure+KeyBy+Reduce+Sink": True}

    def test_a_later_buffer_ends_it(self) -> None:
        graph = line(Backpressure(S.LATEST, 1), Map(parse), Backpressure(S.BUFFER, 10))
        plan = physical(graph.job())
        assert [plan.is_fresh(vertex.id) for vertex in plan.vertices] == [False, True, False]


class TestRefused:
    @pytest.mark.parametrize("strategy", [S.DROP, S.LATEST])
    def test_loss_before_a_sink_that_promises_exactly_once(self, strategy: S) -> None:
        with pytest.raises(ConfigError, match=f"records \\({strategy}\\), but kafka:alerts promises"):
            line(guarantee="exactly-once").job(backpressure=strategy)
        with pytest.raises(ConfigError, match="accept_loss"):
            line(Backpressure(strategy, 1), guarantee="exactly-once").job()

    def test_not_where_it_is_meant(self) -> None:
        line(guarantee="exactly-once").job(backpressure=S.DROP, accept_loss=True)
        line(Backpressure(S.DROP, 1, accept_loss=True), guarantee="exactly-once").job()

    @pytest.mark.parametrize("strategy", [S.BUFFER, S.ERROR])
    def test_not_where_nothing_is_lost(self, strategy: S) -> None:
        line(Backpressure(strategy, 1), guarantee="exactly-once").job()

    def test_not_on_a_branch_that_promises_nothing(self) -> None:
        graph = Graph()
        source = graph.line(FakeSource())
        graph.line(FakeSink("exact"), behind=source)
        graph.line(Backpressure(S.LATEST, 1), FakeSink("board", "none"), behind=source)
        graph.job()

    def test_not_without_checkpoints(self) -> None:
        stream = line(guarantee="exactly-once").stream()
        config = Settings(backpressure=S.DROP, checkpoint_interval=None, checkpoint_rows=None)
        assert len(buffers_of(stream, config)) == 1

    @pytest.mark.parametrize("strategy", [S.DROP, S.ERROR])
    def test_a_bound_that_is_never_reached(self, strategy: S) -> None:
        with pytest.raises(ConfigError, match=f"{strategy} needs a bound"):
            check_size(strategy, None)


@pytest.mark.parametrize(
    ("buffer", "said"),
    [
        (Buffer("u", S.BUFFER, 9), "holds back what is before it and loses nothing"),
        (Buffer("u", S.BUFFER, None), "loses nothing, takes all the memory"),
        (Buffer("u", S.DROP, 1024), "at most 1,024 records; when full it loses the newest"),
        (Buffer("u", S.LATEST, 1), "a newer one replaces it, which is lost"),
        (Buffer("u", S.ERROR, 9), "restarts from its last checkpoint: loses nothing with checkpoints"),
    ],
)
def test_each_says_what_it_may_lose(buffer: Buffer, said: str) -> None:
    assert said in buffer.describe()


def test_explain_says_it_in_every_format() -> None:
    graph = line(Map(parse), Backpressure(S.DROP, 7, accept_loss=True), guarantee="exactly-once")
    resolved = resolve(JobConfig(), JobMode.STREAMING, durable=True, environment={})
    facts = explain(build_job_graph(graph.stream(), resolved.values), resolved)
    text = explain_text(facts)
    assert "end to end: exactly-once; backpressure:DROP may lose records (DROP)" in text
    assert "DROP buffer of at most 7 records; when full it loses the newest records, and counts them" in text
    assert '"strategy": "DROP",\n          "size": 7' in explain_json(facts)
    assert "DROP buffer of at most 7 records" in explain_mermaid(facts)
