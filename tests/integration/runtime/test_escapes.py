"""What user code raises that is not an Exception fails the job, wherever it is raised, and hangs nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectionSource, CollectSink, ConsoleSink, GeneratorSource
from pipeline import ErrorPolicy, JobConfig, RestartStrategy, StreamJob, UserFunctionError
from pipeline.api.stream import Stream

pytestmark = pytest.mark.usefixtures("nothing_left")

SKIP = ErrorPolicy.skip()


def leave(*_: Any) -> Any:
    sys.exit(3)


async def leave_async(_: Any) -> Any:
    raise asyncio.CancelledError


def leave_within(n: int) -> Iterator[int]:
    yield n
    raise KeyboardInterrupt


async def leave_within_async(n: int) -> AsyncIterator[int]:
    yield n
    raise GeneratorExit


BEHIND: dict[str, Callable[[Stream[int]], Any]] = {
    "map": lambda read: read.map(leave),
    "async map": lambda read: read.map(leave_async),
    "guarded map": lambda read: read.map(leave, on_error=SKIP),
    "guarded async map": lambda read: read.map(leave_async, on_error=SKIP),
    "filter": lambda read: read.filter(leave),
    "flat_map": lambda read: read.flat_map(leave_within),
    "async flat_map": lambda read: read.flat_map(leave_within_async),
    "map_batches": lambda read: read.map_batches(leave),
    "async map_batches": lambda read: read.map_batches(leave_async),
    "key_by": lambda read: read.key_by(leave).reduce(max),
    "reduce": lambda read: read.key_by(lambda n: 0).reduce(leave),
}


@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize("where", BEHIND)
def test_in_an_operator(where: str, parallelism: int) -> None:
    job = StreamJob("leaving", JobConfig(parallelism=parallelism))
    BEHIND[where](job.source(CollectionSource(range(5)))).sink(CollectSink())
    fails(job)


@pytest.mark.parametrize(
    "source", [GeneratorSource(leave, count=5), CollectionSource(leave(n) for n in range(5))]
)
def test_in_a_source(source: Any) -> None:
    job = StreamJob("leaving")
    job.source(source).sink(CollectSink())
    fails(job)


def test_in_a_sink() -> None:
    job = StreamJob("leaving")
    job.source(CollectionSource(range(5))).sink(ConsoleSink(format=leave))
    fails(job)


def test_it_is_not_tried_again(numbers: Any, checkpoints: Path) -> None:
    """And no checkpoint follows the batch that is out in part."""
    job = StreamJob(
        "leaving",
        JobConfig(
            checkpoint_rows=1,
            checkpoint_min_pause=timedelta(0),
            checkpoint_dir=checkpoints,
            restart=RestartStrategy.fixed_delay(3, timedelta(milliseconds=1)),
        ),
    )
    job.source(numbers(5)).map(leave).sink(CollectSink())
    error = fails(job)
    assert error.result.restarts == 0


def fails(job: StreamJob) -> UserFunctionError:
    """Run the job, which must fail with an error that names what was raised, by whom, and where."""
    with pytest.raises(
        UserFunctionError, match=r"raised (SystemExit|CancelledError|KeyboardInt|Generator)"
    ) as caught:
        job.execute()
    error = caught.value
    assert error.job == "leaving"
    assert error.operator
    assert "test_escapes.py" in str(error.function)
    return error
