"""Each strategy in whole jobs: every record is delivered, dropped or buffered, and counted as one of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectSink
from pipeline import (
    DEAD_LETTERS,
    BackpressureOverflow,
    BackpressureStrategy,
    CheckpointError,
    EncodingError,
    ErrorPolicy,
    JobConfig,
    JobControl,
    JobResult,
    JobStatus,
    PipelineError,
    RestartStrategy,
    StreamJob,
    TumblingTimeWindows,
    WatermarkStrategy,
)
from pipeline.core.errors import SinkError
from pipeline.runtime.events import CheckpointCompleted
from pipeline.spi.sink import SinkContext

pytestmark = pytest.mark.usefixtures("nothing_left", "somewhere_else")

S = BackpressureStrategy


@pytest.fixture
def somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that are given no folder for their checkpoints put them below the working directory."""
    monkeypatch.chdir(tmp_path)


LOSSY = [S.DROP, S.LATEST]
COUNT = 20_000


def slowly(into: list[Any], per_second: int) -> Callable[[list[Any]], None]:
    """A sink's function that takes that many records a second."""

    def take(values: list[Any]) -> None:
        time.sleep(len(values) / per_second)
        into.extend(values)

    return take


class Failing(CollectSink[int]):
    """A slow sink that fails now and then, as a server does that is restarted.

    Args:
        times: how often it fails.
        after: records it takes before each failure, more or less.
    """

    def __init__(self, times: int, after: int) -> None:
        super().__init__()
        self._left = [after] * times  # shared by the copies that the attempts run
        self._taken = threading.Event()

    def await_taken(self) -> None:
        """Wait until it has taken something since the last call, or has perhaps ended."""
        self._taken.wait(0.2)
        self._taken.clear()

    def invoke_batch(self, values: Sequence[int], ctx: SinkContext) -> None:
        self._taken.set()
        if self._left:
            self._left[-1] -= len(values)
        if self._left and self._left[-1] <= 0:
            self._left.pop()
            raise SinkError("a fault that passes", retryable=True)
        time.sleep(len(values) / 5000)
        super().invoke_batch(values, ctx)


def slowed_down(n: int) -> int:
    time.sleep(0.0002)
    return n


def every(milliseconds: int, folder: Path, **settings: Any) -> JobConfig:
    return JobConfig(
        checkpoint_interval=timedelta(milliseconds=milliseconds),
        checkpoint_min_pause=timedelta(0),
        checkpoint_dir=folder,
        **settings,
    )


class TestConservation:
    @pytest.mark.parametrize("strategy", LOSSY)
    @pytest.mark.parametrize("parallelism", [1, 3])
    def test_of_the_jobs_strategy(
        self, strategy: S, parallelism: int, numbers: Any, calling: Any, checkpoints: Path
    ) -> None:
        """In = out + dropped once the job is done, each record once, in order."""
        got: list[int] = []
        job = StreamJob(
            "job-level",
            every(50, checkpoints, backpressure=strategy, buffer_size=50, parallelism=parallelism),
        )
        numbered = job.source(numbers(COUNT)).key_by(lambda n: n % 7).reduce(lambda _, n: n, uid="newest")
        numbered.sink(calling(slowly(got, 20_000)))
        result = job.execute()
        assert result.processed_records == COUNT == len(got) + result.dropped_records
        assert result.dropped_records > 0
        assert all(group == sorted(set(group)) for group in by_remainder(got, 7))

    @pytest.mark.parametrize("strategy", LOSSY)
    def test_of_a_union(self, strategy: S, numbers: Any, calling: Any) -> None:
        got: list[Any] = []
        job = StreamJob("union", JobConfig(backpressure=strategy, buffer_size=50))
        first = job.source(numbers(COUNT), uid="first").map(lambda n: (1, n))
        second = job.source(numbers(COUNT), uid="second").map(lambda n: (2, n))
        first.union(second).sink(calling(slowly(got, 50_000)))
        result = job.execute()
        assert len(got) + result.dropped_records == 2 * COUNT
        assert len(set(got)) == len(got)

    def test_of_a_side_output(self, numbers: Any, calling: Any) -> None:
        """The dead letters may be lost while the main output is not."""

        def odd_only(n: int) -> int:
            if n % 2 == 0:
                raise ValueError(n)
            return n

        dead: list[Any] = []
        seen: list[int] = []
        sink = CollectSink[int]()
        job = StreamJob("side")
        parsed = job.source(numbers(COUNT)).map(odd_only, on_error=ErrorPolicy.dead_letter())
        parsed.sink(sink)
        letters = parsed.side_output(DEAD_LETTERS)
        letters.backpressure(S.DROP, buffer_size=10, on_drop=lambda letter: seen.append(letter.value)).sink(
            calling(slowly(dead, 10_000))
        )
        result = job.execute()
        assert sink.values == list(range(1, COUNT, 2))
        assert len(dead) + result.dropped_records == COUNT // 2
        assert sorted([letter.value for letter in dead] + seen) == list(range(0, COUNT, 2))

    def test_a_buffer_loses_nothing_wherever_it_stands(
        self, numbers: Any, calling: Any, checkpoints: Path
    ) -> None:
        got: list[int] = []
        job = StreamJob("buffers", every(20, checkpoints, parallelism=2))
        stream = (
            job.source(numbers(COUNT)).backpressure(S.BUFFER, buffer_size=7, uid="a").map(lambda n: n + 1)
        )
        stream = stream.backpressure(S.BUFFER, buffer_size=None, uid="b").map(lambda n: n - 1)
        stream.backpressure(S.ERROR, buffer_size=10**6, uid="c").sink(calling(slowly(got, 50_000)))
        result = job.execute()
        assert sorted(got) == list(range(COUNT))
        assert result.dropped_records == 0
        assert result.checkpoints > 1


def by_remainder(values: list[int], modulus: int) -> list[list[int]]:
    groups: dict[int, list[int]] = {}
    for value in values:
        groups.setdefault(value % modulus, []).append(value)
    return list(groups.values())


class TestCheckpoints:
    def test_a_barrier_overtakes_a_full_buffer(self, numbers: Any, calling: Any, checkpoints: Path) -> None:
        """100 records a second with 2,000 before them: to wait for those would take 20 s."""
        got: list[int] = []
        completed: list[CheckpointCompleted] = []
        control = JobControl()

        def listen(event: Any) -> None:
            if isinstance(event, CheckpointCompleted):
                completed.append(event)
                if len(completed) == 3:
                    control.abort()

        job = StreamJob("overtaken", every(100, checkpoints))
        job.source(numbers(10**9)).backpressure(S.BUFFER, buffer_size=2000).sink(calling(slowly(got, 100)))
        assert job.execute(control=control, listeners=[listen]).status is JobStatus.CANCELLED
        assert max(event.duration_ms for event in completed) < 10_000
        assert completed[-1].size_bytes > 2000  # what was overtaken is in the checkpoint

    @pytest.mark.parametrize("strategy", [S.BUFFER, S.DROP, S.LATEST])
    @pytest.mark.parametrize("union", [False, True])
    @pytest.mark.parametrize("parallelism", [1, 2])
    def test_nothing_accepted_is_lost_by_a_failure(
        self, parallelism: int, union: bool, strategy: S, numbers: Any, calling: Any, checkpoints: Path
    ) -> None:
        """The sink fails now and then; each attempt continues from the newest checkpoint.

        What counts is what the records did since the checkpoint that the last attempt began with: all
        before it were delivered, dropped or in its buffer, which has as many queues as there are subtasks.
        """
        sink = Failing(times=5, after=20 if strategy is S.LATEST else 200)
        dropped: set[int] = set()
        count = {S.BUFFER: 2000, S.DROP: 4000, S.LATEST: 9000}[strategy]
        paced = numbers(count)
        if strategy is not S.BUFFER:  # more than it holds, once the sink has got something of the last
            paced = numbers(count, before=lambda _: sink.await_taken(), batch=60)
        config = JobConfig(
            checkpoint_rows=count // 30,
            checkpoint_min_pause=timedelta(0),
            checkpoint_dir=checkpoints,
            restart=RestartStrategy.fixed_delay(10, timedelta(milliseconds=1)),
            parallelism=parallelism,
        )
        job = StreamJob("failing", config)
        stream = job.source(paced, uid="a")
        if union:
            stream = stream.union(job.source(paced, uid="b").map(lambda n: n + count))
        behind = stream.backpressure(strategy, buffer_size=40, on_drop=dropped.add, uid="buffer")
        behind.map(slowed_down, uid="slowed").sink(sink)
        result = job.execute()
        everything = set(range(2 * count if union else count))
        assert result.restarts == 5
        assert len(sink.values) == len(set(sink.values))
        assert set(sink.values) | dropped == everything
        assert result.processed_records == len(everything) == len(sink.values) + result.dropped_records

    def test_event_time_is_kept_with_what_is_buffered(self, numbers: Any, checkpoints: Path) -> None:
        """Windows downstream of a buffer emit the same as without it, over failures; nothing is late."""
        watermarks = WatermarkStrategy.monotonic(timestamp=lambda n: n)
        sink = Failing(times=4, after=6)
        job = StreamJob(
            "windowed",
            every(20, checkpoints, restart=RestartStrategy.fixed_delay(10, timedelta(milliseconds=1))),
        )
        paced = numbers(2000, before=lambda _: time.sleep(0.001), batch=7)
        stream = job.source(paced, watermarks).backpressure(S.BUFFER, buffer_size=40, uid="buffer")
        slowed = stream.map(slowed_down, uid="slowed").key_by(lambda _: 0, uid="all")
        windows = slowed.window(TumblingTimeWindows.of(timedelta(milliseconds=50)), uid="fifties")
        windows.reduce(lambda a, b: a + b, uid="sum").sink(sink)
        result = job.execute()
        assert result.restarts == 4
        assert result.late_records == 0
        assert sink.values == [sum(range(start, start + 50)) for start in range(0, 2000, 50)]

    def test_error_restarts_and_loses_nothing(self, numbers: Any, calling: Any, checkpoints: Path) -> None:
        """Each overflow takes the job back to its last checkpoint, until the sink keeps up."""
        sink = CollectSink[int]()
        overflows = 0
        hindered = threading.Event()

        def slow_at_first(n: int) -> int:
            if overflows < 2:
                hindered.wait(0.005)
            return n

        def listen(event: Any) -> None:
            nonlocal overflows
            if isinstance(getattr(event, "error", None), BackpressureOverflow):
                overflows += 1

        job = StreamJob(
            "overflowing",
            every(20, checkpoints, restart=RestartStrategy.fixed_delay(1000, timedelta(milliseconds=1))),
        )
        paced = job.source(numbers(2000, before=lambda _: time.sleep(0.001), batch=10))
        paced.backpressure(S.ERROR, buffer_size=300).map(slow_at_first).sink(sink)
        result = job.execute(listeners=[listen])
        assert result.restarts == overflows >= 2
        assert sink.values == list(range(2000))

    def test_a_stop_keeps_what_is_buffered_for_the_next_run(
        self, numbers: Any, calling: Any, checkpoints: Path
    ) -> None:
        sink = CollectSink[int]()
        control = JobControl()
        stopped = False

        def stop_in_the_midst(n: int) -> int:
            nonlocal stopped
            if n == 100:
                control.stop()
            if n > 100 and not stopped:
                time.sleep(0.004)  # in all 3.6 s, in which the stop is heard
            return n

        def build() -> StreamJob:
            job = StreamJob("stopped", every(10_000, checkpoints))
            job.source(numbers(1000)).backpressure(S.BUFFER, buffer_size=500).map(
                stop_in_the_midst, uid="stop"
            ).sink(sink)
            return job

        assert build().execute(control=control).status is JobStatus.CANCELLED
        assert len(sink.values) < 1000
        stopped = True
        assert build().execute().status is JobStatus.COMPLETED
        assert sink.values == list(range(1000))

    def test_another_number_of_queues_is_refused(self, numbers: Any, calling: Any, checkpoints: Path) -> None:
        def build(parallelism: int) -> StreamJob:
            job = StreamJob("spread", every(10, checkpoints, parallelism=parallelism))
            job.source(numbers(10**9)).backpressure(S.BUFFER, buffer_size=50).sink(calling(slowly([], 1000)))
            return job

        def run(parallelism: int) -> JobResult:
            control = JobControl()

            def listen(event: Any) -> None:
                if isinstance(event, CheckpointCompleted):
                    control.abort()

            return build(parallelism).execute(control=control, listeners=[listen])

        run(1)
        with pytest.raises(CheckpointError, match="kept in 1 queues, the job has 2"):
            run(2)

    def test_what_cannot_be_stored_is_refused_at_the_first_record(self, numbers: Any) -> None:
        job = StreamJob("unstorable", JobConfig(checkpoint_interval=timedelta(hours=1)))
        stream = job.source(numbers(10)).map(lambda _: threading.Lock())
        stream.backpressure(S.BUFFER, buffer_size=50).sink(CollectSink[Any]())
        with pytest.raises(EncodingError, match="backpressure:BUFFER"):
            job.execute()


class TestLatest:
    def test_what_is_delivered_is_the_newest_there_is(self, numbers: Any, calling: Any) -> None:
        """While the sink writes one record ten more come: it gets the last of them, never an older one."""
        go, emitted = threading.Semaphore(1), threading.Semaphore(0)
        got: list[int] = []

        def wait_for_the_sink(following: int) -> None:
            if following:
                emitted.release()
            go.acquire()

        def take(values: list[int]) -> None:
            got.extend(values)
            if len(got) == 1:
                emitted.acquire()
            go.release()
            if got[-1] < 199:
                emitted.acquire()

        job = StreamJob("fresh", JobConfig(backpressure=S.LATEST))
        job.source(numbers(200, before=wait_for_the_sink, batch=10)).sink(calling(take))
        assert job.execute().dropped_records == 180
        assert got == list(range(9, 200, 10))


class TestMetrics:
    def test_progress_shows_each_buffer(self, numbers: Any, calling: Any) -> None:
        control = JobControl()
        shown: list[Any] = []

        def look(values: list[int]) -> None:
            time.sleep(0.01)
            shown.extend(edge for edge in control.progress().edges if edge.name == "board")
            if shown[-1].active and shown[-1].dropped > 0:
                control.abort()

        job = StreamJob("shown")
        job.source(numbers(10**9)).backpressure(S.DROP, buffer_size=10, uid="board").sink(calling(look))
        job.execute(control=control)
        last = shown[-1]
        assert (last.strategy, last.capacity, last.request_rate) == (S.DROP, 10, None)
        assert 0 <= last.buffered <= 10

    def test_a_plain_hand_over_shows_that_it_holds_back(self, numbers: Any, calling: Any) -> None:
        control = JobControl()
        seen: list[Any] = []

        def look(values: list[int]) -> None:
            time.sleep(0.01)
            seen.extend(control.progress().edges)
            if any(edge.active for edge in seen) and any(edge.request_rate for edge in seen):
                control.abort()

        job = StreamJob("held-back", JobConfig(buffer_size=10))
        job.source(numbers(10**9)).map(lambda n: n).start_new_chain().sink(calling(look))
        assert job.execute(control=control).status is JobStatus.CANCELLED


def test_a_callback_that_raises_fails_the_job(numbers: Any, calling: Any) -> None:
    def tell(n: int) -> None:
        raise ValueError(n)

    job = StreamJob("telling")
    job.source(numbers(1000)).backpressure(S.DROP, buffer_size=1, on_drop=tell).sink(
        calling(slowly([], 10_000))
    )
    with pytest.raises(PipelineError, match="tell raised ValueError"):
        job.execute()
