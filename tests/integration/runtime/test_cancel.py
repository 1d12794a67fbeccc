"""A job stopped at any moment is soon gone and leaves nothing: no thread, no file, no connection."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectSink, FileSink, RollingPolicy
from pipeline import JobConfig, JobStatus, RestartStrategy, SourceError, StreamJob
from pipeline.core.run_options import RunOptions
from pipeline.runtime.control import JobControl
from pipeline.runtime.events import JobStarted, Restarting, StopForced, ThreadAbandoned

CANCELS = 100
UNFORCED_S = 25
"""After 30 s a stop is forced; the aim is 5, which a machine with other work may not reach."""


def build(numbers: Any, folder: Path, checkpoints: Path, count: int) -> StreamJob:
    job = StreamJob(
        "cancelled",
        JobConfig(
            checkpoint_rows=200,
            checkpoint_min_pause=timedelta(0),
            checkpoint_dir=checkpoints,
            max_parallelism=8,
        ),
    )
    read = job.source(numbers(count))
    read.map(lambda n: {"n": n}).sink(FileSink(folder / "all.csv"))
    read.flat_map(lambda n: (n, -n)).key_by(lambda n: n % 5).reduce(max, uid="max").sink(
        FileSink(folder / "max.jsonl"), uid="max-sink"
    )
    return job


@pytest.mark.usefixtures("nothing_left")
def test_cancelled_at_random_moments(numbers: Any, tmp_path: Path, checkpoints: Path) -> None:
    """100 times, half of them gracefully; the run after all of them completes the output."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for number in range(CANCELS):
        control = JobControl()
        stop = control.stop if number % 2 else control.abort
        wait = rng.uniform(0, 0.05)
        timer = threading.Timer(wait, stop)
        timer.start()
        began = time.monotonic()
        try:
            result = build(numbers, tmp_path, checkpoints, 100_000_000).execute(control=control)
        finally:
            timer.join()
        assert result.status is JobStatus.CANCELLED, f"seed {seed}"
        assert time.monotonic() - began < wait + UNFORCED_S, f"seed {seed}"
    read = len((tmp_path / "all.csv").read_bytes()) if (tmp_path / "all.csv").exists() else 0
    assert read == 0, "a whole file appears at the end of the input only"
    done = build(numbers, tmp_path, checkpoints, 30_000).execute(RunOptions(fresh=True))
    assert done.status is JobStatus.COMPLETED
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert lines == ["n", *(str(n) for n in range(30_000))]


@pytest.mark.usefixtures("nothing_left")
def test_cancelled_while_the_source_waits_for_input(numbers: Any, calling: Any) -> None:
    """A blocked poll does not hold the job up, as long as `cancel` can end it."""
    blocked, released = threading.Event(), threading.Event()

    class Silent(numbers):  # type: ignore[misc]
        def poll(self, demand: int) -> Any:
            blocked.set()
            released.wait()
            return None

        def cancel(self) -> None:
            released.set()

    control = JobControl()
    job = StreamJob("silent", JobConfig(checkpoint_rows=None))
    job.source(Silent(10)).sink(calling(lambda values: None))
    stopper = threading.Thread(target=lambda: (blocked.wait(), control.stop()), name="stopper")
    stopper.start()
    assert job.execute(control=control).status is JobStatus.CANCELLED
    stopper.join()


ENDLESS: dict[str, Callable[[threading.Event], Callable[[int], Any]]] = {}
"""Functions for a flat_map that end by no record of their own; they set the event once they are at it."""


def endless(function: Callable[[threading.Event], Callable[[int], Any]]) -> Any:
    ENDLESS[function.__name__] = function
    return function


@endless
def awaiting(entered: threading.Event) -> Callable[[int], Any]:
    async def never(_: int) -> list[int]:
        entered.set()
        await asyncio.Event().wait()
        return []

    return never


@endless
def awaiting_within(entered: threading.Event) -> Callable[[int], Any]:
    async def never(n: int) -> AsyncIterator[dict[str, int]]:
        yield {"n": n}
        entered.set()
        await asyncio.Event().wait()

    return never


@endless
def counting(entered: threading.Event) -> Callable[[int], Any]:
    def count(_: int) -> Iterator[dict[str, int]]:
        for n in itertools.count():
            if n == 5_000:
                entered.set()
            yield {"n": n}

    return count


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize("gracefully", [False, True])
@pytest.mark.parametrize("what", ENDLESS)
def test_cancelled_in_a_record_without_end(
    what: str, gracefully: bool, keyed: bool, numbers: Any, tmp_path: Path, checkpoints: Path
) -> None:
    """An await is ended, an endless result left; a last checkpoint cannot pass, which is said in time."""
    entered, control, events = threading.Event(), JobControl(), list[Any]()
    config = JobConfig(checkpoint_dir=checkpoints, cancel_timeout=timedelta(milliseconds=50))
    job = StreamJob("endless", config)
    stream = job.source(numbers(10)).flat_map(ENDLESS[what](entered))
    (stream.key_by(lambda row: 0).reduce(lambda _, row: row, uid="last") if keyed else stream).sink(
        FileSink(tmp_path / "out.csv")
    )
    stop = control.stop if gracefully else control.abort
    stopper = threading.Thread(target=lambda: (entered.wait(), stop()), name="stopper")
    stopper.start()
    result = job.execute(control=control, listeners=[events.append])
    stopper.join()
    assert result.status is JobStatus.CANCELLED
    told = [event for event in events if isinstance(event, (StopForced, ThreadAbandoned))]
    assert told == ([StopForced(50)] if gracefully else [])


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("stored", [True, False])
def test_a_job_that_cannot_resume_leaves_nothing_when_it_is_stopped(
    stored: bool, numbers: Any, tmp_path: Path, checkpoints: Path
) -> None:
    """A part of its output would look like the whole, and the next run would write it a second time."""

    class Once(numbers):  # type: ignore[misc]
        @property
        def info(self) -> Any:
            return dataclasses.replace(super().info, resumable=False)

    control = JobControl()

    def stop_in_its_midst(emitted: int) -> None:
        if emitted >= 3_000:
            control.stop()

    config = JobConfig(checkpoint_rows=100, checkpoint_min_pause=timedelta(0), checkpoint_dir=checkpoints)
    job = StreamJob("once", config if stored else JobConfig(checkpoint_rows=None))
    out = tmp_path / "out"
    sink = FileSink(out / "numbers.csv", rolling=RollingPolicy(max_rows=500))
    job.source(Once(10**9, stop_in_its_midst)).map(lambda n: {"n": n}).sink(sink)
    result = job.execute(control=control)
    assert (result.status, result.checkpoints) == (JobStatus.CANCELLED, 0)
    assert list(out.iterdir()) == []


def test_a_thread_that_does_not_stop_is_left_behind(numbers: Any, calling: Any) -> None:
    """A function that never returns cannot be interrupted: after 5 s it is reported and abandoned."""
    entered, release = threading.Event(), threading.Event()

    def block(values: list[Any]) -> None:
        entered.set()
        release.wait()

    control = JobControl()
    job = StreamJob("stuck", JobConfig(checkpoint_rows=None))
    job.source(numbers(10)).sink(calling(block))
    events: list[Any] = []
    stopper = threading.Thread(target=lambda: (entered.wait(), control.abort()), name="stopper")
    stopper.start()
    result = job.execute(control=control, listeners=[events.append])
    assert result.status is JobStatus.CANCELLED
    names = [event.thread for event in events if type(event).__name__ == "ThreadAbandoned"]
    assert names == ["stuck/numbers:10"]
    release.set()
    stopper.join()
    for thread in threading.enumerate():
        if thread.name.startswith("stuck/"):
            thread.join()


def test_a_cancelled_job_may_be_told_to_keep_nothing(numbers: Any, checkpoints: Path) -> None:
    """`retain_on_cancel=False`: the next run starts over."""
    config = JobConfig(
        checkpoint_interval=timedelta(milliseconds=20),
        checkpoint_min_pause=timedelta(0),
        checkpoint_dir=checkpoints,
        retain_on_cancel=False,
    )
    control = JobControl()
    job = StreamJob("forgetful", config)
    job.source(numbers(10**9)).sink(CollectSink())

    def stop_after_the_first(event: Any) -> None:
        if type(event).__name__ == "CheckpointCompleted":
            control.stop()

    assert job.execute(control=control, listeners=[stop_after_the_first]).checkpoints >= 2
    assert list((checkpoints / "forgetful" / "manifests").iterdir()) == []
    again = StreamJob("forgetful", config)
    again.source(numbers(1000)).sink(CollectSink())
    assert again.execute().restored_from is None


@pytest.mark.parametrize("how", ["stop", "abort"])
def test_a_stop_while_a_restart_is_awaited_ends_the_job(how: str, numbers: Any) -> None:
    """There is nothing to take a last checkpoint of, and nobody wants the next attempt."""
    control, attempts = JobControl(), list[Any]()

    def fail_once(emitted: int) -> None:
        if len(attempts) == 1:
            raise SourceError("not yet")

    def listen(event: Any) -> None:
        if isinstance(event, JobStarted):
            attempts.append(event)
        if isinstance(event, Restarting):
            getattr(control, how)()

    config = JobConfig(restart=RestartStrategy.fixed_delay(delay=timedelta(minutes=5)), checkpoint_rows=None)
    job = StreamJob("impatient", config)
    job.source(numbers(10, fail_once)).sink(CollectSink())
    assert job.execute(control=control, listeners=[listen]).status is JobStatus.CANCELLED
    assert len(attempts) == 1
