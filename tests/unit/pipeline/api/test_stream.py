"""Stream and KeyedStream: each method adds the operator it says, with what it was given."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pipeline import DEAD_LETTERS, ErrorPolicy, SideTag, SlidingTimeWindows, StreamJob
from pipeline.core.job import JobMode
from pipeline.operators.aggregate import Aggregate
from pipeline.operators.base import OperatorSpec
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.key_by import KeyBy
from pipeline.operators.map import Map
from pipeline.operators.map_batches import MapBatches
from pipeline.operators.reduce import Reduce
from pipeline.operators.union import Union
from pipeline.operators.window import AssignWindows
from pipeline.operators.window_aggregate import WindowAggregate
from pipeline.operators.window_operator import Windowing
from pipeline.operators.window_reduce import WindowReduce
from pipeline.windows.assigners import Window

from .conftest import FakeSink, FakeSource

SKIP = ErrorPolicy.skip()
LATE = SideTag[Any]("late")


class Count:
    def create_accumulator(self) -> int:
        return 0

    def add(self, value: Any, accumulator: int) -> int:
        return accumulator + 1

    def get_result(self, accumulator: int) -> int:
        return accumulator

    def merge(self, first: int, second: int) -> int:
        return first + second


def specs(job: StreamJob) -> Sequence[OperatorSpec]:
    return [node.spec for node in job.stream_graph().nodes if node.spec is not None]


def newest(first: Any, second: Any) -> Any:
    return second


def described(key: str, window: Window, result: Any) -> str:
    return f"{key} {window} {result}"


def as_list(value: Any) -> list[Any]:
    return [value]


def test_stateless_methods() -> None:
    """Function and policy arrive in the operator's spec."""
    job = StreamJob("j")
    stream = job.source(FakeSource()).map(str, on_error=SKIP).filter(bool, on_error=SKIP)
    stream.flat_map(as_list, on_error=SKIP).map_batches(as_list, on_error=SKIP).sink(FakeSink())
    assert specs(job) == [
        Map(str, SKIP),
        Filter(bool, SKIP),
        FlatMap(as_list, SKIP),
        MapBatches(as_list, SKIP),
    ]


def test_keyed_methods() -> None:
    """The operators downstream of a key_by know its selector."""
    job, count = StreamJob("j"), Count()
    keyed = job.source(FakeSource()).key_by(str)
    keyed.reduce(newest, on_error=SKIP, value_type=int).sink(FakeSink("a"))
    keyed.aggregate(count, on_error=SKIP, value_type=int).sink(FakeSink("b"))
    assert specs(job) == [KeyBy(str), Reduce(newest, str, SKIP, int), Aggregate(count, str, SKIP, int)]


def test_windowed_methods() -> None:
    """Each setting of a windowed stream is that of the folds after it, not of those before."""
    job, count = StreamJob("j"), Count()
    sliding = SlidingTimeWindows.of(timedelta(minutes=2), timedelta(minutes=1))
    windowed = job.source(FakeSource()).key_by(str).window(sliding)
    windowed.reduce(newest, on_error=SKIP, value_type=int).sink(FakeSink("a"))
    late = windowed.allowed_lateness(timedelta(seconds=1)).side_output_late_data(LATE)
    late.aggregate(count, window_function=described, on_error=SKIP, value_type=int).sink(FakeSink("b"))
    nodes = job.graph.build("j", JobMode.STREAMING).nodes  # not checked yet: nobody reads LATE
    assert [node.spec for node in nodes if node.spec is not None] == [
        KeyBy(str),
        AssignWindows(sliding, str),
        WindowReduce(Windowing(sliding, str), None, SKIP, int, function=newest),
        WindowAggregate(Windowing(sliding, str, 1000, LATE), described, SKIP, int, aggregate=count),
    ]


def test_union_reads_all_its_streams_in_their_order() -> None:
    job = StreamJob("j")
    a, b, c = (job.source(FakeSource(target)) for target in "abc")
    b.union(c, a).sink(FakeSink())
    assert specs(job) == [Union()]
    edges = job.stream_graph().inputs(3)
    assert [(edge.source, edge.input_index) for edge in edges] == [(1, 0), (2, 1), (0, 2)]


def test_a_stream_may_be_read_more_than_once() -> None:
    job = StreamJob("j")
    stream = job.source(FakeSource()).map(str)
    stream.sink(FakeSink("a"))
    stream.sink(FakeSink("b"))
    assert [edge.target for edge in job.stream_graph().outputs(1)] == [2, 3]


def test_a_side_output_is_a_stream_like_any_other() -> None:
    job = StreamJob("j")
    parsed = job.source(FakeSource()).map(str, on_error=ErrorPolicy.dead_letter())
    parsed.side_output(DEAD_LETTERS).map(repr).sink(FakeSink("dead"))
    parsed.sink(FakeSink("out"))
    graph = job.stream_graph()
    assert [(edge.source, edge.side_tag) for edge in graph.inputs(2)] == [(1, DEAD_LETTERS)]
    assert [edge.target for edge in graph.outputs(1)] == [4]


def test_every_method_takes_a_uid() -> None:
    job = StreamJob("j")
    stream = job.source(FakeSource(), uid="1").map(str, uid="2").filter(bool, uid="3")
    stream = stream.flat_map(as_list, uid="4").map_batches(as_list, uid="5").union(stream, uid="6")
    reduced = stream.key_by(str, uid="7").reduce(newest, uid="8")
    counted = reduced.key_by(str, uid="9").aggregate(Count(), uid="10")
    sliding = SlidingTimeWindows.of(timedelta(minutes=2), timedelta(minutes=1))
    windowed = counted.key_by(int, uid="11").window(sliding, uid="12")
    windowed.reduce(newest, uid="13").sink(FakeSink(), uid="14")
    windowed.aggregate(Count(), uid="15").sink(FakeSink(), uid="16")
    assert [node.uid for node in job.stream_graph().nodes] == [str(number) for number in range(1, 17)]
