"""What a graph is refused for, each with the operator's name, its place and what to do."""

from __future__ import annotations

import pytest

from pipeline.core.errors import GraphError
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy, SideTag
from pipeline.graph.builder import Output
from pipeline.graph.validate import validate
from pipeline.operators.filter import Filter
from pipeline.operators.key_by import KeyBy
from pipeline.operators.map import Map
from pipeline.operators.reduce import Reduce
from pipeline.operators.union import Union

from .conftest import FakeSink, FakeSource, Graph, merge, parse


def refusal(graph: Graph, *, checkpointed: bool = False) -> GraphError:
    with pytest.raises(GraphError) as raised:
        validate(graph.stream(), checkpointed=checkpointed)
    assert raised.value.hint
    assert raised.value.job == "job"
    return raised.value


def test_a_job_has_a_source() -> None:
    assert "no source" in refusal(Graph()).message


def test_every_stream_has_a_sink() -> None:
    """Records without a reader are not silently dropped."""
    graph = Graph()
    source = graph.line(FakeSource())
    graph.line(FakeSink(), behind=source)
    graph.line(Map(parse), behind=source)
    error = refusal(graph)
    assert "map:parse" in error.message
    assert "conftest.py:" in error.message
    assert "no sink" in error.message


def test_a_side_output_is_not_a_reader_of_the_main_output() -> None:
    graph = Graph()
    behind_map = graph.line(FakeSource(), Map(parse, ErrorPolicy.dead_letter()))
    graph.line(FakeSink(), behind=Output(behind_map.node, DEAD_LETTERS))
    assert "no sink" in refusal(graph).message


def test_given_uids_are_unique() -> None:
    graph = Graph()
    source = graph.add_source(FakeSource(), uid="mine")
    graph.add_sink(FakeSink(), source, uid="mine")
    assert "'mine'" in refusal(graph).message


def test_no_sink_overwrites_what_is_anothers() -> None:
    """One of two outputs would be gone, and the job would call itself complete."""
    graph = Graph()
    source = graph.add_source(FakeSource())
    graph.add_sink(FakeSink("a", owns="/out/o.csv"), source, uid="x", written_at="job.py:3")
    graph.add_sink(FakeSink("b", owns="/out/o.csv"), source, uid="y", written_at="job.py:4")
    error = refusal(graph)
    assert error.message == (
        "two sinks would overwrite each other's /out/o.csv: x (job.py:3) and y (job.py:4)"
    )
    assert error.operator == "y"


def test_sinks_may_share_what_neither_owns() -> None:
    """As two may write to one topic; and one after a union is only one."""
    graph = Graph()
    source = graph.add_source(FakeSource())
    graph.add_sink(FakeSink("topic"), source, uid="x")
    graph.add_sink(FakeSink("topic"), source, uid="y")
    graph.add_sink(FakeSink("file", owns="/a"), graph.add_operator(Union(), [source, source]))
    validate(graph.stream(), checkpointed=False)


def test_a_sink_object_ends_one_stream() -> None:
    """Two attempts of it would share what they collect in, and each take the other's back."""
    graph = Graph()
    source, sink = graph.add_source(FakeSource()), FakeSink()
    graph.add_sink(sink, source, uid="x")
    graph.add_sink(sink, source, uid="y")
    assert "one sink object ends two streams: x and y" in refusal(graph).message


class Reading(FakeSource):
    """Reads what others of its target read or write."""

    def overlap(self, other: object) -> str | None:
        info = getattr(other, "info", None)
        return self.info.target if info is not None and info.target == self.info.target else None


def test_a_job_does_not_read_its_own_output() -> None:
    """Run twice, it would double; and after a crash it would read what it had written before."""
    graph = Graph()
    source = graph.add_source(Reading("/d/all.csv"), written_at="job.py:3", uid="in")
    graph.add_sink(FakeSink("/d/all.csv"), source, uid="out")
    error = refusal(graph)
    assert error.message == (
        "the job would read its own output: in (job.py:3) reads /d/all.csv, which out writes"
    )


def test_sources_that_meet_do_not_read_the_same() -> None:
    """Overlapping patterns would give records twice; where they do not meet, nothing is doubled."""
    graph = Graph()
    one, two = graph.add_source(Reading("a"), uid="x"), graph.add_source(Reading("a"), uid="y")
    graph.add_sink(FakeSink("1"), one, uid="first")
    graph.add_sink(FakeSink("2"), two, uid="second")
    validate(graph.stream(), checkpointed=False)
    graph.add_sink(FakeSink("3"), graph.add_operator(Union(), [one, two]))
    assert "two sources would read a into one output: x and y" in refusal(graph).message


def test_a_dead_letter_needs_a_reader() -> None:
    """Dead letters that go nowhere would be silently lost records."""
    graph = Graph()
    graph.line(FakeSource(), Map(parse, ErrorPolicy.dead_letter()), FakeSink())
    assert "nobody reads the dead letters of map:parse" in refusal(graph).message


def test_a_side_output_needs_a_writer() -> None:
    """A tag that the operator does not send to is a mistake: the stream would stay empty for ever."""
    graph = Graph()
    behind_map = graph.line(FakeSource(), Map(parse))
    graph.line(FakeSink("a"), behind=behind_map)
    graph.line(FakeSink("b"), behind=Output(behind_map.node, SideTag("late")))
    assert "sends nothing to the side output 'late'" in refusal(graph).message


@pytest.mark.parametrize("part", ["source", "sink"])
def test_more_subtasks_than_a_connector_can_have_are_refused(part: str) -> None:
    graph = Graph()
    source = graph.line(FakeSource())
    sink = graph.line(FakeSink(), behind=source)
    graph.set_parallelism((source if part == "source" else sink).node, 2)
    assert "at most 1" in refusal(graph).message


def test_state_named_by_a_lambda_needs_a_uid_where_checkpoints_are_taken() -> None:
    """Only there: without checkpoints nothing has to be found again."""
    graph = Graph()
    graph.line(FakeSource(), KeyBy(str), Reduce(lambda a, b: a + b, str), FakeSink())
    validate(graph.stream(), checkpointed=False)
    error = refusal(graph, checkpointed=True)
    assert "reduce:<lambda>" in error.message
    assert "test_validate.py:" in error.message
    assert error.hint == 'give it one: .reduce(…, uid="…")'


@pytest.mark.parametrize("part", ["source", "reduce", "sink"])
def test_state_under_a_default_uid_that_is_not_unique_needs_one(part: str) -> None:
    graph = Graph()
    for name in ("a", "b"):
        graph.line(
            FakeSource("same" if part == "source" else f"source-{name}"),
            KeyBy(str),
            Reduce(merge if part == "reduce" else {"a": min, "b": max}[name], str),
            FakeSink("same" if part == "sink" else f"sink-{name}"),
        )
    validate(graph.stream(), checkpointed=False)
    error = refusal(graph, checkpointed=True)
    assert "not its alone" in error.message
    assert error.hint == f'give it one: .{part}(…, uid="…")'


def test_stateless_operators_need_no_uid() -> None:
    """Two lambdas in a checkpointed job are fine where no state hangs on them."""
    graph = Graph()
    graph.line(FakeSource(), Map(lambda value: value), Map(lambda value: value), Filter(bool), FakeSink())
    validate(graph.stream(), checkpointed=True)
