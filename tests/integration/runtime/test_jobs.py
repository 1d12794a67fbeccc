"""Whole jobs in this process: shapes, restarts, state, counts."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectionSource, CollectSink, FileSink
from pipeline import (
    DEAD_LETTERS,
    ErrorPolicy,
    JobConfig,
    JobControl,
    JobStatus,
    PipelineError,
    RestartStrategy,
    SourceError,
    StreamJob,
    UserFunctionError,
)
from pipeline.core.errors import Fault
from pipeline.runtime.events import CheckpointCompleted
from state.memory import MemoryStateBackend

pytestmark = pytest.mark.usefixtures("nothing_left")


def run(job: StreamJob, **options: Any) -> Any:
    return job.execute(**options)


def test_an_empty_input_completes() -> None:
    sink = CollectSink()
    result = (
        StreamJob.builder().name("empty").source(CollectionSource([])).map(str).sink(sink).build().execute()
    )
    assert (result.status, result.processed_records, sink.values) == (JobStatus.COMPLETED, 0, [])


def test_state_is_encoded_for_those_that_keep_it(checkpoints: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job without checkpoints ends without a snapshot of perhaps millions of keys."""
    taken: list[object] = []
    encode = MemoryStateBackend.snapshot
    monkeypatch.setattr(MemoryStateBackend, "snapshot", lambda self: taken.append(encode(self)) or taken[-1])
    for config, snapshots in ((JobConfig(), 0), (JobConfig(checkpoint_dir=checkpoints), 1)):
        job = StreamJob("counting", config)
        job.source(CollectionSource(range(10))).key_by(str).reduce(max, uid="most").sink(CollectSink())
        assert run(job).state["most"] == {str(n): n for n in range(10)}
        assert len(taken) == snapshots


@pytest.mark.parametrize("parallelism", [1, 3])
def test_union_branches_and_keys(parallelism: int) -> None:
    """Every record of both inputs reaches every branch once; keyed sums are right for any parallelism."""
    doubled, sums = CollectSink(), CollectSink()
    job = StreamJob("shapes", JobConfig(parallelism=parallelism))
    left, right = (
        job.source(CollectionSource(range(1000)), uid="l"),
        job.source(CollectionSource(range(1000, 3000)), uid="r"),
    )
    both = left.union(right)
    both.map(lambda n: 2 * n).sink(doubled, uid="doubled")
    both.key_by(lambda n: n % 10).reduce(lambda a, b: a + b, uid="sum").sink(sums, uid="sums")
    result = run(job)
    assert sorted(doubled.values) == [2 * n for n in range(3000)]
    assert len(sums.values) == 3000
    assert result.processed_records == 3000
    assert result.state["sum"] == {d: sum(n for n in range(3000) if n % 10 == d) for d in range(10)}


@pytest.mark.parametrize("parallelism", [1, 2])
def test_a_union_ends_with_the_last_of_its_sources(
    parallelism: int, gated_numbers: Any, numbers: Any, checkpoints: Path, tmp_path: Path
) -> None:
    """The one that continues for several checkpoints more is read to its end, into one file of both."""
    config = JobConfig(
        checkpoint_rows=100,
        checkpoint_min_pause=timedelta(0),
        checkpoint_dir=checkpoints,
        parallelism=parallelism,
    )
    job = StreamJob("unequal", config)
    short, long = job.source(numbers(10), uid="short"), job.source(gated_numbers(1000), uid="long")
    short.union(long).map(lambda n: {"n": n}).sink(FileSink(tmp_path / "both.csv"))
    result = run(job)
    assert (result.status, result.processed_records) == (JobStatus.COMPLETED, 1010)
    assert result.checkpoints > 5
    lines = (tmp_path / "both.csv").read_text().splitlines()
    assert sorted(map(int, lines[1:])) == sorted([*range(10), *range(1000)])


def test_async_functions_are_awaited_in_order() -> None:
    async def slowly(n: int) -> int:
        await asyncio.sleep(0)
        return n + 1

    sink = CollectSink()
    StreamJob.builder().name("async").source(CollectionSource(range(500))).map(slowly).filter(
        lambda n: n % 2 == 0
    ).sink(sink).build().execute()
    assert sink.values == list(range(2, 501, 2))


def test_an_endless_flat_map_is_taken_lazily(calling: Any) -> None:
    """After a channel and before a sink: what nobody has requested is not made."""
    made = 0

    def endless(n: int) -> Any:
        nonlocal made
        while True:
            made += 1
            yield n

    for keyed in (False, True):
        control = JobControl()
        seen = 0
        made = 0

        def take(values: list[int], control: JobControl = control) -> None:
            nonlocal seen
            seen += len(values)
            if seen > 50_000:
                control.abort()

        job = StreamJob("endless")
        stream = job.source(CollectionSource([1])).flat_map(endless)
        (stream.key_by(lambda n: n).reduce(max, uid="m") if keyed else stream).sink(calling(take))
        assert run(job, control=control).status is JobStatus.CANCELLED
        assert made < seen + 20_000


def test_policies_count_and_lose_nothing() -> None:
    """in = out + skipped + dead-lettered, and the dead letters say where they came from."""

    def parse(text: str) -> int:
        return int(text)

    texts = [str(n) if n % 10 else f"bad {n}" for n in range(1000)]
    good, dead = CollectSink(), CollectSink()
    job = StreamJob("policies")
    parsed = job.source(CollectionSource(texts)).map(parse, on_error=ErrorPolicy.dead_letter())
    parsed.sink(good, uid="good")
    parsed.side_output(DEAD_LETTERS).sink(dead, uid="dead")
    result = run(job)
    assert good.values == [n for n in range(1000) if n % 10]
    assert [letter.value for letter in dead.values] == [f"bad {n}" for n in range(0, 1000, 10)]
    assert {letter.operator for letter in dead.values} == {"map:parse"}
    assert result.failed_records == 100

    skipping = CollectSink()
    job = (
        StreamJob.builder()
        .name("skip")
        .source(CollectionSource(texts))
        .map(parse, on_error=ErrorPolicy.skip())
        .sink(skipping)
        .build()
    )
    assert job.execute().failed_records == 100
    assert skipping.values == good.values


def test_one_record_in_a_thousand_is_tried_again() -> None:
    """A fault that passes costs nothing; one that stays goes where the policy says after the last try."""
    calls: dict[int, int] = {}

    def flaky(n: int) -> int:
        calls[n] = calls.get(n, 0) + 1
        if n % 1000 == 7 and (calls[n] < 3 or n > 5000):
            raise ConnectionError(f"no answer for {n}")
        return n

    good, dead = CollectSink(), CollectSink()
    job = StreamJob("flaky")
    policy = ErrorPolicy.retry(2, timedelta(microseconds=1), then=ErrorPolicy.dead_letter())
    checked = job.source(CollectionSource(range(10_000))).map(flaky, on_error=policy)
    checked.sink(good, uid="good")
    checked.side_output(DEAD_LETTERS).sink(dead, uid="dead")
    result = run(job)
    lost = [5007, 6007, 7007, 8007, 9007]
    assert good.values == [n for n in range(10_000) if n not in lost]
    assert [letter.value for letter in dead.values] == lost
    assert result.failed_records == len(lost)
    assert {n for n, count in calls.items() if count == 3} == set(range(7, 10_000, 1000))


def test_dead_letters_of_two_operators_go_to_their_own_readers() -> None:
    def fail(n: int) -> int:
        raise ValueError(n)

    def odd(n: int) -> int:
        if n % 2:
            raise ValueError("odd")
        return n

    first, second = CollectSink(), CollectSink()
    job = StreamJob("two")
    a = job.source(CollectionSource(range(10))).map(odd, on_error=ErrorPolicy.dead_letter())
    a.side_output(DEAD_LETTERS).sink(first, uid="first")
    b = a.map(fail, on_error=ErrorPolicy.dead_letter())
    b.side_output(DEAD_LETTERS).sink(second, uid="second")
    b.sink(CollectSink(), uid="rest")
    run(job)
    assert [letter.value for letter in first.values] == [1, 3, 5, 7, 9]
    assert [letter.value for letter in second.values] == [0, 2, 4, 6, 8]


def test_a_failing_function_names_everything(numbers: Any) -> None:
    def fails(n: int) -> int:
        if n == 777:
            raise ValueError("no such number")
        return n

    sink = CollectSink()
    job = StreamJob("named", JobConfig(checkpoint_rows=None))
    job.source(CollectionSource(range(1000))).map(fails).sink(sink)
    with pytest.raises(UserFunctionError) as caught:
        run(job)
    error = caught.value
    assert isinstance(error.__cause__, ValueError)
    assert (error.job, error.operator, error.retryable) == ("named", "map:fails", False)
    assert error.function is not None
    assert "test_jobs.py" in error.function
    assert error.position is not None
    assert error.position.endswith("@777")
    assert error.result.status is JobStatus.FAILED


def test_restarts_from_the_last_checkpoint(numbers: Any, checkpoints: Path) -> None:
    """A source that fails now and then: the collected output has every number once."""
    failures = iter([1500, 4200, 4300])
    failing_at = next(failures)

    def before(position: int) -> None:
        nonlocal failing_at
        if position >= failing_at:
            failing_at = next(failures, 10**9)
            raise SourceError(f"lost the connection at {position}")

    sink = CollectSink()
    events: list[Any] = []
    job = StreamJob(
        "restarting",
        JobConfig(
            checkpoint_rows=300,
            checkpoint_min_pause=timedelta(0),
            checkpoint_dir=checkpoints,
            restart=RestartStrategy.fixed_delay(3, timedelta(milliseconds=1)),
        ),
    )
    job.source(numbers(6000, before)).key_by(lambda n: n % 4).reduce(lambda a, b: a + b, uid="sum").sink(sink)
    result = run(job, listeners=[events.append])
    assert result.status is JobStatus.COMPLETED
    assert result.restarts == 3
    assert result.processed_records == 6000
    assert len(sink.values) == 6000
    assert result.state["sum"] == {d: sum(range(d, 6000, 4)) for d in range(4)}
    assert [type(event).__name__ for event in events].count("JobStarted") == 4


def test_progress_between_failures_begins_the_count_again(numbers: Any, checkpoints: Path) -> None:
    """One restart without progress is allowed; five failures with progress between them are survived."""
    committed: list[int] = []
    failing_at = 1000

    def before(position: int) -> None:
        nonlocal failing_at
        if position >= failing_at and position > 0:
            assert completed.wait(30)
            failing_at += 1000
            completed.clear()
            raise SourceError(f"lost the connection at {position}")

    completed = threading.Event()
    job = StreamJob(
        "progressing",
        JobConfig(
            checkpoint_rows=100,
            checkpoint_min_pause=timedelta(0),
            checkpoint_dir=checkpoints,
            restart=RestartStrategy.fixed_delay(1, timedelta(0)),
        ),
    )
    sink = CollectSink()
    job.source(numbers(5500, before)).sink(sink)

    def listen(event: Any) -> None:
        if isinstance(event, CheckpointCompleted):
            committed.append(event.checkpoint_id)
            completed.set()

    result = run(job, listeners=[listen])
    assert (result.status, result.restarts, len(sink.values)) == (JobStatus.COMPLETED, 5, 5500)


@pytest.mark.parametrize("how", ["retry_on", "retryable"])
def test_a_users_exception_may_say_that_a_restart_helps(how: str, numbers: Any, checkpoints: Path) -> None:
    """In a function and in a source of the user's own; the error says what is done about it."""
    calls: list[int] = []

    def fetch(n: int) -> int:
        calls.append(n)
        if len(calls) == 50 or (n == 77 and how == "retryable"):
            raise ConnectionError("no answer") if how == "retry_on" else SourceError("no answer")
        return n

    strategy = RestartStrategy.fixed_delay(
        1, timedelta(0), retry_on=ConnectionError if how == "retry_on" else ()
    )
    job = StreamJob("fetching", JobConfig(checkpoint_dir=checkpoints, restart=strategy))
    sink = CollectSink()
    job.source(numbers(100)).map(fetch).sink(sink)
    if how == "retry_on":
        assert run(job).restarts == 1
        assert sink.values == list(range(100))
    else:
        with pytest.raises(UserFunctionError, match="fetch raised SourceError: no answer") as raised:
            run(job)
        assert (raised.value.retryable, raised.value.fault) == (True, Fault.ENVIRONMENT)
        assert raised.value.result.restarts == 1


def test_what_a_connector_of_ones_own_raises_says_whose_it_is(numbers: Any) -> None:
    def before(position: int) -> None:
        raise ConnectionError("no answer")

    job = StreamJob("own")
    job.source(numbers(10, before)).sink(CollectSink())
    with pytest.raises(SourceError, match=r"list ConnectionError in retry_on= of the restart") as raised:
        run(job)
    assert (raised.value.retryable, raised.value.fault) == (False, Fault.USER)


def test_gives_up_when_the_restarts_are_used_up(numbers: Any, checkpoints: Path) -> None:
    def before(position: int) -> None:
        raise SourceError("nobody there")

    job = StreamJob(
        "giving-up",
        JobConfig(
            checkpoint_dir=checkpoints, restart=RestartStrategy.fixed_delay(2, timedelta(milliseconds=1))
        ),
    )
    job.source(numbers(10, before)).sink(CollectSink())
    with pytest.raises(PipelineError) as caught:
        run(job)
    assert caught.value.result.restarts == 2


def test_a_job_may_run_in_another_thread() -> None:
    sink = CollectSink()
    job = StreamJob.builder().name("elsewhere").source(CollectionSource(range(10))).sink(sink).build()
    thread = threading.Thread(target=job.execute, name="elsewhere")
    thread.start()
    thread.join()
    assert sink.values == list(range(10))
