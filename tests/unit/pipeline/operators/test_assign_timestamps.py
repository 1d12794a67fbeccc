"""assign_timestamps: event time restarts, in a chain and between chains, and over a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectionSource, CollectSink
from pipeline import (
    ErrorPolicy,
    GraphError,
    JobConfig,
    JobStatus,
    RestartStrategy,
    StreamJob,
    TumblingTimeWindows,
    WatermarkStrategy,
)
from pipeline.compiler import OperatorStage, StepStage, compile_chain
from pipeline.core.elements import END_OF_INPUT, IDLE, Watermark
from pipeline.core.policy import DEAD_LETTERS
from pipeline.core.records import Batch
from pipeline.operators.assign_timestamps import AssignTimestamps
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.map import Map
from pipeline.operators.timers import OperatorTimers
from pipeline.runtime.contexts import Identity, RunningOperatorContext, VertexContext
from pipeline.spi.operator import StreamOperator
from pipeline.testing import ManualClock
from tests.unit.pipeline.runtime.stage import Consumer, Head

Event = dict[str, Any]
BOUNDED = WatermarkStrategy.bounded_out_of_orderness(timedelta(milliseconds=10), timestamp=int)


class LateFor(StreamOperator[int, Any]):
    """Pairs each record with the watermark that it met, and passes watermarks on as records."""

    expands = True

    def __init__(self) -> None:
        self._watermark = -1

    def process_batch(self, batch: Batch[int], input_index: int) -> Batch[Any]:
        assert batch.timestamps is not None
        return Batch([(value, self._watermark) for value in batch.values], batch.timestamps)

    def process_watermark(self, timestamp: int) -> Batch[Any]:
        self._watermark = timestamp
        return Batch([f"at {timestamp}"], [timestamp])


class Stage:
    """A chain with an assigner in it, driven by a head and heard by a consumer."""

    def __init__(self, *parts: Any, mode: str = "generated", clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        vertex = VertexContext(Identity("job", "lineage", 1), 0, 1, self.clock)
        stages: list[Any] = []
        for index, part in enumerate(parts):
            uid = f"s{index}"
            if isinstance(part, AssignTimestamps):
                self.assigner, timers = part.create_operator(), OperatorTimers()
                self.assigner.open(RunningOperatorContext(vertex, uid, None, True, timers))
                stages.append(OperatorStage(uid, self.assigner, timers))
            else:
                step = isinstance(part, (Map, FlatMap))
                stages.append(StepStage(uid, part) if step else OperatorStage(uid, part))
        self.consumer = Consumer(0)
        self.head = Head(compile_chain(stages, vertex, mode=mode), self.consumer)
        self.consumer.request(10_000)

    def feed(self, *elements: Any) -> list[Any]:
        before = len(self.consumer.heard)
        for element in elements:
            if isinstance(element, list):
                self.head.feed(element)
                self.head.run()
            else:
                self.head.fused.on_control(element)
        return self.consumer.heard[before:]


@pytest.mark.parametrize("mode", ["generated", "interpreted"])
@pytest.mark.parametrize("steps", [[], [Map(int)]], ids=len)
def test_watermarks_follow_the_records_and_those_of_upstream_end(mode: str, steps: Sequence[Any]) -> None:
    stage = Stage(*steps, AssignTimestamps(BOUNDED), *steps, mode=mode)
    assert stage.feed([100, 150]) == [100, 150, Watermark(139)]
    assert stage.feed(Watermark(10_000), IDLE) == []
    assert stage.feed([120], [150]) == [120, 150]
    assert stage.feed([200]) == [200, Watermark(189)]
    assert stage.feed(END_OF_INPUT) == [END_OF_INPUT]


@pytest.mark.parametrize("mode", ["generated", "interpreted"])
def test_a_flat_map_before_or_after_it_is_fed_by_demand(mode: str) -> None:
    """Watermarks then come more often, each after the records that it covers."""
    double = FlatMap(lambda value: [value, value])
    heard = Stage(double, AssignTimestamps(BOUNDED), double, mode=mode).feed([100, 150, 120])
    assert [each for each in heard if not isinstance(each, Watermark)] == [100] * 4 + [150] * 4 + [120] * 4
    reached = [(at, each.timestamp) for at, each in enumerate(heard) if isinstance(each, Watermark)]
    assert [timestamp for _, timestamp in reached] == [89, 139]
    assert all(heard[at - 1] == timestamp + 11 or timestamp == 139 for at, timestamp in reached)


def test_operators_downstream_in_the_chain_see_each_watermark_between_its_records() -> None:
    stage = Stage(AssignTimestamps(BOUNDED.emit_every(2)), LateFor())
    heard = stage.feed([100, 110, 90, 130, 140], Watermark(5_000))
    inside = [(100, -1), (110, -1), "at 99", (90, 99), (130, 99), "at 119", (140, 119)]
    assert [each for each in heard if not isinstance(each, Watermark)] == inside
    assert [each for each in heard if isinstance(each, Watermark)] == [Watermark(99), Watermark(119)]
    assert stage.feed([150]) == [(150, 119), "at 139", Watermark(139)]


def test_what_fires_upstream_gets_a_time_of_its_own() -> None:
    """A window upstream of it lets out records by the watermark that ends here."""

    class Firing(StreamOperator[int, int]):
        expands = True

        def process_batch(self, batch: Batch[int], input_index: int) -> Batch[int]:
            return Batch(())

        def process_watermark(self, timestamp: int) -> Batch[int]:
            return Batch([timestamp + 1000], [timestamp])

    stage = Stage(Firing(), AssignTimestamps(BOUNDED), LateFor())
    assert stage.feed([1, 2], Watermark(7)) == [(1007, -1), "at 996", Watermark(996)]


def test_a_second_one_replaces_the_first() -> None:
    later = WatermarkStrategy.monotonic(timestamp=lambda value: value + 1000)
    stage = Stage(AssignTimestamps(BOUNDED), AssignTimestamps(later))
    assert stage.feed([100]) == [100, Watermark(1099)]


def test_a_stream_falls_idle_by_the_clock_and_wakes_with_its_next_record() -> None:
    clock = ManualClock(start_ms=1_000)
    stage = Stage(AssignTimestamps(BOUNDED.with_idleness(timedelta(milliseconds=100))), clock=clock)

    def pass_time(milliseconds: int) -> list[Any]:
        before = len(stage.consumer.heard)
        clock.advance(timedelta(milliseconds=milliseconds))
        timer = stage.head.fused.next_timer
        if timer is not None and timer <= clock.now_ms():
            stage.head.fused.pass_time(clock.now_ms())
        return stage.consumer.heard[before:]

    assert stage.feed([100]) == [100, Watermark(89)]
    assert pass_time(60) == []
    assert stage.feed([101]) == [101, Watermark(90)]
    assert pass_time(60) == [], "it was heard 60 ms ago"
    assert pass_time(40) == [IDLE]
    assert pass_time(1000) == [], "once"
    assert stage.feed([100]) == [100, Watermark(90)], "no longer idle, and no further than before"
    assert pass_time(1000) == [], "the thread was held up: records may wait"
    assert pass_time(100) == [IDLE]


def test_it_continues_from_its_snapshot() -> None:
    """Event time does not go back, and watermarks by count are placed as if nothing had happened."""
    strategy = BOUNDED.emit_every(2)
    before = Stage(AssignTimestamps(strategy))
    assert before.feed([200, 210], [100]) == [200, 210, Watermark(199), 100]
    after = Stage(AssignTimestamps(strategy))
    after.assigner.initialize_state(before.assigner.snapshot_state())
    assert after.feed([110]) == [110], "the second of two, and no watermark before 199"
    assert after.feed([220, 230]) == [220, 230, Watermark(219)]


# --- jobs ---------------------------------------------------------------------------------------------

SECOND = TumblingTimeWindows.of(timedelta(seconds=1))
UPSTREAM = WatermarkStrategy.monotonic(timestamp=lambda text: 10**9)


def parse(text: str) -> Event | None:
    return {"t": int(text)} if text.isdigit() else {}


def time_of(event: Event) -> int:
    return event["t"]


def one(event: Event) -> int:
    return 1


def start_and_sum(key: int, window: Any, event: Event) -> tuple[int, int]:
    return window.start, event["t"]


def add(first: Event, second: Event) -> Event:
    return {"t": first["t"] + second["t"]}


def windows_of(stream: Any) -> Any:
    return stream.key_by(one).window(SECOND).reduce(add, window_function=start_and_sum, uid="sum")


@pytest.mark.parametrize("chains", ["generated", "interpreted"])
@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize("watermarks", [None, UPSTREAM])
@pytest.mark.parametrize("fused", [True, False])
def test_windows_go_by_the_time_that_is_assigned_after_a_map(
    chains: str, parallelism: int, watermarks: Any, fused: bool
) -> None:
    """Case 2 of a first day: garbage has no time and goes by the policy, the rest by its own time."""
    texts = ["garbage", *(str(number) for number in range(0, 5000, 10)), "more"]
    job, sink, dead = StreamJob("assign", JobConfig(chains=chains)), CollectSink[Any](), CollectSink[Any]()
    strategy = WatermarkStrategy.bounded_out_of_orderness(
        timedelta(seconds=5), timestamp=time_of, on_error=ErrorPolicy.dead_letter()
    )
    lines = job.source(CollectionSource(texts), watermarks=watermarks).map(parse)
    timed = lines.assign_timestamps_and_watermarks(strategy).with_parallelism(parallelism)
    if not fused:
        timed.disable_chaining()
    windows_of(timed).sink(sink)
    timed.side_output(DEAD_LETTERS).sink(dead, uid="dead")
    done = job.execute()
    assert (done.status, done.failed_records, done.late_records) == (JobStatus.COMPLETED, 2, 0)
    assert [letter.value for letter in dead.values] == [{}, {}]
    expected = {start: sum(range(start, start + 1000, 10)) for start in range(0, 5000, 1000)}
    assert dict(sink.values) == expected


def test_its_progress_is_part_of_the_checkpoint(tmp_path: Path) -> None:
    """After a restart nothing fires twice and no record is late that was not."""
    from tests.integration.runtime.conftest import GatedNumbers

    calls, sink = Counter[str](), CollectSink[Any]()

    def fail_once(number: int) -> Event:
        calls["all"] += 1
        if calls["all"] == 800:
            raise OSError("gone")
        return {"t": 10 * number}

    restart = RestartStrategy.fixed_delay(attempts=1, delay=timedelta(0), retry_on=(OSError,))
    job = StreamJob("assign", JobConfig(checkpoint_rows=150, checkpoint_dir=str(tmp_path), restart=restart))
    strategy = WatermarkStrategy.monotonic(timestamp=time_of)
    timed = job.source(GatedNumbers(1000), uid="in").map(fail_once).assign_timestamps_and_watermarks(strategy)
    windows_of(timed).sink(sink)
    done = job.execute()
    assert (done.status, done.restarts, done.late_records) == (JobStatus.COMPLETED, 1, 0)
    expected = {start: sum(range(start, start + 1000, 10)) for start in range(0, 10_000, 1000)}
    assert (len(sink.values), dict(sink.values)) == (10, expected)


@pytest.mark.parametrize("strategy", [WatermarkStrategy.monotonic(), None])
def test_it_needs_a_timestamp_function(strategy: Any) -> None:
    stream = StreamJob("assign").source(CollectionSource([1]))
    with pytest.raises(GraphError, match="needs a strategy with a timestamp function"):
        stream.assign_timestamps_and_watermarks(strategy)


def test_it_says_where_time_begins() -> None:
    job = StreamJob("assign")
    timed = job.source(CollectionSource(["1"])).map(parse)
    timed = timed.assign_timestamps_and_watermarks(WatermarkStrategy.monotonic(timestamp=time_of))
    windows_of(timed).sink(CollectSink())
    told = job.explain()
    assert "assign_timestamps_and_watermarks:time_of" in told
    assert "watermarks in order" in told
    assert "tumbling 1 s · event time" in told
