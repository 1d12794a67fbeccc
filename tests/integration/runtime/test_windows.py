"""Whole jobs with windows: event time through threads and exchanges, splits, idleness, the clock."""

from __future__ import annotations

import logging
import random
import threading
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
    JobControl,
    JobStatus,
    SideTag,
    SlidingTimeWindows,
    StreamJob,
    TumblingTimeWindows,
    UserFunctionError,
    WatermarkStrategy,
)
from pipeline.core.job import JobMode
from pipeline.core.policy import DEAD_LETTERS
from pipeline.runtime.events import JobEvent, JobStarted
from pipeline.runtime.result import EventTimeProgress, Progress
from pipeline.spi.function import FunctionContext
from pipeline.spi.source import Polled, PollingSource, Source, SourceContext, SourceInfo

pytestmark = pytest.mark.usefixtures("nothing_left")

BOUND = timedelta(milliseconds=100)
EVENTS = [(number % 7, 10 * number) for number in range(3000)]
LATE = SideTag[Any]("late")


def time_of(event: tuple[int, int]) -> int:
    return event[1]


def key_of(event: tuple[int, int]) -> int:
    return event[0]


def result(key: int, window: Any, event: tuple[int, int]) -> tuple[int, int, int]:
    return key, window.start, event[1]


def add(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    return first[0], first[1] + second[1]


STRATEGY = WatermarkStrategy.bounded_out_of_orderness(BOUND, timestamp=time_of)
SECOND = TumblingTimeWindows.of(timedelta(seconds=1))


def shuffled(events: Sequence[tuple[int, int]], seed: int) -> list[tuple[int, int]]:
    """Out of order by less than the bound."""
    rng = random.Random(seed)
    return sorted(events, key=lambda event: event[1] + rng.randint(-49, 49))


def sums(events: Sequence[tuple[int, int]], assigner: Any = SECOND) -> Counter[tuple[int, int]]:
    expected: Counter[tuple[int, int]] = Counter()
    for key, time in events:
        for window in assigner.assign(time):
            expected[key, window.start] += time
    return expected


@pytest.mark.parametrize("chains", ["generated", "interpreted"])
@pytest.mark.parametrize("parallelism", [1, 3])
@pytest.mark.parametrize("batch", [1, 7, None])
def test_every_window_has_all_its_records(chains: str, parallelism: int, batch: int | None) -> None:
    """Out of order within the bound, of two sources, filtered and expanded before: none is late."""
    sink = CollectSink()
    config = JobConfig(parallelism=parallelism, source_batch_size=batch, chains=chains)
    job = StreamJob("windows", config)
    left, right = (
        job.source(CollectionSource(shuffled(EVENTS[part::2], part)), watermarks=STRATEGY, uid=f"s{part}")
        for part in (0, 1)
    )
    (
        left.union(right)
        .filter(lambda event: event[1] % 30)
        .flat_map(lambda event: [event, event])
        .key_by(key_of)
        .window(SECOND)
        .reduce(add, window_function=result, uid="sum")
        .sink(sink)
    )
    done = job.execute()
    twice = [event for event in EVENTS if event[1] % 30 for _ in range(2)]
    assert (done.late_records, done.state["sum"]) == (0, {})
    assert len(sink.values) == len(sums(twice))
    assert {(key, start): total for key, start, total in sink.values} == sums(twice)


def test_windows_of_windows() -> None:
    """Results have the last instant of their window, so that later windows see them in time."""
    seconds, slides = CollectSink(), CollectSink()
    sliding = SlidingTimeWindows.of(timedelta(seconds=4), timedelta(seconds=2))
    job = StreamJob("twice")
    first = (
        job.source(CollectionSource(EVENTS), watermarks=STRATEGY)
        .key_by(key_of)
        .window(SECOND)
        .reduce(add, uid="first")
    )
    first.sink(seconds, uid="seconds")
    second = first.key_by(key_of).window(sliding, uid="slides")
    second.reduce(add, window_function=result, uid="second").sink(slides, uid="out")
    assert job.execute().late_records == 0
    found = {(key, start): total for key, start, total in slides.values}
    assert len(found) == len(slides.values)
    assert found == sums(EVENTS, sliding)


def test_the_example_of_the_specification_is_three_vertices() -> None:
    job = (
        StreamJob.builder()
        .name("alerts")
        .source(CollectionSource(EVENTS), watermarks=STRATEGY)
        .map(lambda event: event)
        .filter(lambda event: event[0])
        .key_by(key_of)
        .window(SECOND)
        .reduce(add)
        .sink(CollectSink())
        .build()
    )
    text = str(job.explain())
    assert "7 nodes, 6 edges" in text
    assert "[Source+Map+Filter] → KeyBy → [Window+Reduce+Sink]" in text
    assert "event time" in text


@pytest.mark.parametrize("side", [False, True])
def test_every_record_is_in_a_window_or_late_or_dead(side: bool) -> None:
    """in = out + late + skipped: nothing vanishes."""
    rng = random.Random(3)
    events = [(key, time - rng.choice([0, 0, 500, 5000])) for key, time in EVENTS]
    sink, late = CollectSink(), CollectSink()
    job = StreamJob("late", JobConfig(source_batch_size=50))
    windows = job.source(CollectionSource(events), watermarks=STRATEGY).key_by(key_of).window(SECOND)
    if side:
        windows = windows.side_output_late_data(LATE)

    def merge(first: Any, second: Any) -> Any:
        if second[1] % 1000 == 370:
            raise ValueError(second)
        return first[0], first[1], (first[2] if len(first) > 2 else 1) + 1

    counts = windows.reduce(
        merge,
        window_function=lambda key, window, folded: folded[2] if len(folded) > 2 else 1,
        on_error=ErrorPolicy.skip(),
        uid="count",
    )
    counts.sink(sink, uid="out")
    if side:
        counts.side_output(LATE).sink(late, uid="late")
    done = job.execute()
    assert done.failed_records > 0
    assert done.late_records + len(late.values) > 0
    assert (done.late_records == 0) is side
    assert sum(sink.values) + len(late.values) + done.late_records + done.failed_records == len(events)


def test_late_records_need_a_reader() -> None:
    job = StreamJob("late")
    windows = job.source(CollectionSource(EVENTS), watermarks=STRATEGY).key_by(key_of).window(SECOND)
    windows.side_output_late_data(LATE).reduce(add, uid="sum").sink(CollectSink())
    with pytest.raises(GraphError, match="nobody reads the late records of sum"):
        job.execute()


def test_a_window_and_its_fold_run_as_one() -> None:
    job = StreamJob("apart")
    windows = job.source(CollectionSource(EVENTS), watermarks=STRATEGY).key_by(key_of).window(SECOND)
    windows.reduce(add, uid="sum").with_parallelism(2).sink(CollectSink())
    with pytest.raises(GraphError, match="another parallelism than window"):
        job.execute()


def test_a_timestamp_function_that_raises_fails_the_job_by_name() -> None:
    job = StreamJob("broken")
    strategy = WatermarkStrategy.monotonic(timestamp=lambda event: event["ts"])
    windows = job.source(CollectionSource(EVENTS), watermarks=strategy).key_by(key_of).window(SECOND)
    windows.reduce(add, uid="sum").sink(CollectSink())
    with pytest.raises(UserFunctionError, match="raised TypeError") as failed:
        job.execute()
    assert "test_windows.py" in str(failed.value)
    assert failed.value.operator == "collection:memory"


@pytest.mark.parametrize("window", [True, False])
@pytest.mark.parametrize("policy", [ErrorPolicy.skip(), ErrorPolicy.dead_letter()])
def test_records_without_a_time_follow_the_policy_of_the_strategy(policy: ErrorPolicy, window: bool) -> None:
    """in = in windows + failed; where no window asks for the time, every record has passed."""
    sink, dead = CollectSink(), CollectSink()
    strategy = WatermarkStrategy.monotonic(timestamp=lambda event: event[1] + 0, on_error=policy)
    events: list[Any] = [(1, 0), None, (1, 10), (1, "x"), (1, 20)]
    job = StreamJob("timeless")
    records = job.source(CollectionSource(events), watermarks=strategy, uid="in")
    if window:
        records.key_by(key_of).window(SECOND).reduce(add, uid="sum").sink(sink, uid="out")
    else:
        records.sink(sink, uid="out")
    if policy.kind == "dead_letter":
        records.side_output(DEAD_LETTERS).sink(dead, uid="dead")
    done = job.execute()
    if not window:
        assert (sink.values, dead.values, done.failed_records) == (events, [], 0)
        return
    assert (sink.values, done.processed_records, done.failed_records) == ([(1, 30)], 5, 2)
    if policy.kind == "dead_letter":
        assert [letter.value for letter in dead.values] == [None, (1, "x")]
        assert "TypeError" in dead.values[0].error


def test_dead_letters_of_a_strategy_need_a_reader() -> None:
    job = StreamJob("timeless")
    strategy = WatermarkStrategy.monotonic(timestamp=time_of, on_error=ErrorPolicy.dead_letter())
    windows = (
        job.source(CollectionSource(EVENTS), watermarks=strategy, uid="in").key_by(key_of).window(SECOND)
    )
    windows.reduce(add, uid="sum").sink(CollectSink())
    with pytest.raises(GraphError, match="nobody reads the dead letters of in"):
        job.execute()


class HalfOfThem(PollingSource[tuple[int, int]]):
    """`EVENTS`; stops its job in the middle, the first time, and emits nothing more until cancelled."""

    def __init__(self, control: JobControl) -> None:
        self._control = control
        self._next = 0

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("events", "test", JobMode.BATCH_ROLLER)

    def open(self, ctx: SourceContext[tuple[int, int]]) -> None:
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        self._cancelled.set()

    def seek(self, position: Any) -> None:
        self._next = position or 0
        self._stops = position is None

    def poll(self, demand: int) -> Polled[tuple[int, int]] | None:
        if self._stops and self._next >= len(EVENTS) // 2:
            self._control.stop()
            self._cancelled.wait()  # the barrier passes meanwhile, then the source is cancelled
        values = EVENTS[self._next : self._next + min(demand, 20)]
        self._next += len(values)
        return Polled(values, self._next) if values else None


def test_a_stopped_job_fires_nothing_early_and_continues(tmp_path: Path) -> None:
    """STOP is not the end of the input: the windows that are open stay open, in the checkpoint."""
    sink, control = CollectSink(), JobControl()

    def job() -> StreamJob:
        made = StreamJob(
            "stopped", JobConfig(checkpoint_dir=tmp_path, checkpoint_interval=timedelta(hours=1))
        )
        windows = (
            made.source(HalfOfThem(control), watermarks=STRATEGY, uid="in").key_by(key_of).window(SECOND)
        )
        windows.reduce(add, window_function=result, uid="sum").sink(sink, uid="out")
        return made

    first = job().execute(control=control)
    assert first.status is JobStatus.CANCELLED
    assert 0 < len(sink.values) < len(sums(EVENTS))
    assert first.state["sum"] != {}
    second = job().execute()
    assert second.status is JobStatus.COMPLETED
    assert Counter({(key, start): total for key, start, total in sink.values}) == sums(EVENTS)
    assert len(sink.values) == len(sums(EVENTS)), "no window fires twice"


class Partitions(Source[tuple[int, int]]):
    """Two splits, of which one never emits anything; it looks for more until a window has fired."""

    def __init__(self, fired: threading.Event) -> None:
        self._fired = fired
        self.in_time: list[bool] = []  # shared by the copies that attempts run

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("partitions", "test", JobMode.STREAMING)

    def run(self, ctx: SourceContext[tuple[int, int]]) -> None:
        with ctx.checkpoint_lock:
            ctx.declare_splits(["busy", "silent"])
        for time in (0, 500, 2500):
            if ctx.wait_demand():
                with ctx.checkpoint_lock:
                    ctx.emit([(1, time)], split="busy")
        if ctx.wait_demand():
            self.in_time.append(self._fired.wait(20))

    def snapshot_state(self) -> None:
        return None

    def restore_state(self, state: Any) -> None:
        raise AssertionError("nothing is restored")


def test_a_silent_partition_holds_windows_back_until_it_is_idle() -> None:
    """FAULTS: a window fires while the source still looks for records, though one split emitted none."""
    fired = threading.Event()

    def notice(value: Any) -> Any:
        fired.set()
        return value

    source, sink, job = Partitions(fired), CollectSink(), StreamJob("idle")
    strategy = STRATEGY.with_idleness(timedelta(milliseconds=20))
    windows = job.source(source, watermarks=strategy).key_by(key_of).window(SECOND)
    windows.reduce(add, window_function=result, uid="sum").map(notice).sink(sink)
    job.execute()
    assert source.in_time == [True]
    assert sink.values == [(1, 0, 500), (1, 2000, 2500)]


class OfOneThread:
    """A function that works in the thread that opened it only, as a connection to a database may."""

    def __init__(self, fired: threading.Event) -> None:
        self._fired = fired
        self.threads: list[tuple[str, str]] = []  # shared by the copies that subtasks open

    def open(self, ctx: FunctionContext) -> None:
        self._opened_in = threading.current_thread().name

    def __call__(self, value: Any) -> Any:
        self.threads.append((self._opened_in, threading.current_thread().name))
        self._fired.set()
        return value


def test_what_fires_since_a_source_is_silent_runs_in_the_subtasks_own_thread() -> None:
    """An object that belongs to its thread works downstream of a window, whatever lets the window fire."""
    fired = threading.Event()
    source, sink, tied, job = Partitions(fired), CollectSink(), OfOneThread(fired), StreamJob("tied")
    strategy = STRATEGY.with_idleness(timedelta(milliseconds=20))
    windows = job.source(source, watermarks=strategy).key_by(key_of).window(SECOND)
    windows.reduce(add, window_function=result, uid="sum").map(tied, uid="tied").sink(sink)
    job.execute()
    assert source.in_time == [True]
    assert sink.values == [(1, 0, 500), (1, 2000, 2500)]
    assert len(tied.threads) == 2
    assert all(opened_in == called_in for opened_in, called_in in tied.threads)


class Watched(Source[tuple[int, int]]):
    """Two splits, of which one emits nothing; looks at its own job's progress after the other's records."""

    def __init__(self, control: JobControl) -> None:
        self._control = control
        self.seen: list[Progress] = []  # shared by the copies that attempts run

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("watched", "test", JobMode.STREAMING)

    def run(self, ctx: SourceContext[tuple[int, int]]) -> None:
        with ctx.checkpoint_lock:
            ctx.declare_splits(["busy", "silent"])
        for split, event_time in (("busy", 2500), ("silent", 700)):
            assert ctx.wait_demand()
            with ctx.checkpoint_lock:
                ctx.emit([(1, event_time)], split=split)
                self.seen.append(self._control.progress())

    def snapshot_state(self) -> None:
        return None

    def restore_state(self, state: Any) -> None:
        raise AssertionError("nothing is restored")


def test_progress_says_what_holds_event_time_and_how_many_windows_wait() -> None:
    control = JobControl()
    source, job = Watched(control), StreamJob("watched")
    windows = job.source(source, watermarks=STRATEGY, uid="in").key_by(key_of).window(SECOND)
    windows.reduce(add, uid="sum").sink(CollectSink())
    done = job.execute(control=control)
    held, moved = source.seen
    assert held.event_time == EventTimeProgress("in", None, None, "silent", None)
    assert held.open_windows == 1
    assert moved.event_time is not None
    assert (moved.event_time.timestamp, moved.event_time.held_by) == (599, "silent")
    assert moved.event_time.behind_ms == 1800
    assert moved.event_time.lag_ms is not None
    assert moved.event_time.lag_ms > 0
    assert done.event_time == 599


def test_without_watermarks_there_is_no_event_time_to_see() -> None:
    control = JobControl()
    source, job = Watched(control), StreamJob("watched")
    job.source(source).sink(CollectSink())
    done = job.execute(control=control)
    assert [progress.event_time for progress in (*source.seen, done)] == [None, None, None]


@pytest.mark.parametrize("timed", [0, 1])
def test_sources_that_differ_in_having_watermarks_are_refused_before_a_window(timed: int) -> None:
    """The window would silently go by the clock: events of days would be in one."""
    job = StreamJob("mixed")
    first, second = (
        job.source(CollectionSource(EVENTS), watermarks=STRATEGY if part == timed else None, uid=f"s{part}")
        for part in (0, 1)
    )
    united = first.union(second).map(lambda event: event, uid="same")
    united.key_by(key_of).window(SECOND).reduce(add, uid="sum").sink(CollectSink())
    with pytest.raises(GraphError, match=f"s{timed} has watermarks and s{1 - timed} has none") as refused:
        job.execute()
    assert f"give watermarks= to s{1 - timed}" in str(refused.value.hint)


def test_they_may_differ_where_no_window_sees_both() -> None:
    sink, job = CollectSink(), StreamJob("apart")
    timed = job.source(CollectionSource(EVENTS), watermarks=STRATEGY, uid="timed")
    folded = timed.key_by(key_of).window(SECOND).reduce(add, window_function=result, uid="sum")
    folded.union(job.source(CollectionSource([(0, 0, 0)]), uid="plain")).sink(sink)
    job.execute()
    assert len(sink.values) == len(sums(EVENTS)) + 1


def test_windows_that_go_by_the_clock_are_named_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    started: list[JobStarted] = []

    def listen(event: JobEvent) -> None:
        if isinstance(event, JobStarted):
            started.append(event)

    for strategy in (None, STRATEGY):
        job = StreamJob("clock")
        windows = (
            job.source(CollectionSource(EVENTS), watermarks=strategy, uid="in").key_by(key_of).window(SECOND)
        )
        windows.reduce(add, uid="sum").sink(CollectSink())
        with caplog.at_level(logging.INFO, "pipeline"):
            job.execute(listeners=[listen])
    by_the_clock, by_event_time = (event.remarks for event in started)
    assert by_event_time == ()
    assert by_the_clock == (
        "the windows of sum go by the clock, not by the time of the records: no watermarks= for in",
    )
    said = [record.getMessage() for record in caplog.records if "by the clock" in record.getMessage()]
    assert said == [f"clock: {by_the_clock[0]}"]


def test_without_watermarks_the_clock_closes_windows() -> None:
    """While the input continues: the source waits for the first result."""
    fired = threading.Event()

    def notice(value: Any) -> Any:
        fired.set()
        return value

    source, sink, job = Partitions(fired), CollectSink(), StreamJob("clock")
    windows = job.source(source).key_by(key_of).window(TumblingTimeWindows.of(timedelta(milliseconds=30)))
    windows.reduce(add, uid="sum").map(notice).sink(sink)
    done = job.execute()
    assert source.in_time == [True]
    assert (sum(total for _, total in sink.values), done.late_records) == (3000, 0)
