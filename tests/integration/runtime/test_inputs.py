"""An operator of several inputs: nothing in the runtime knows it, and each input arrives as what it is."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors import CollectionSource, CollectSink
from pipeline import JobConfig, JobStatus, RestartStrategy, StreamJob, WatermarkStrategy
from pipeline.api.stream import Stream
from pipeline.core.records import Batch
from pipeline.operators.base import Function, OperatorFactory
from pipeline.spi.operator import StreamOperator
from pipeline.testing import OperatorHarness
from state.keys import key_groups, subtask_of
from tests.acceptance.jobs.joins import Join, join

pytestmark = pytest.mark.usefixtures("nothing_left")


def seventh(number: int) -> int:
    return number % 7


def pairs(left: Sequence[int], right: Sequence[int], subtasks: int = 0) -> Counter[Any]:
    """What a join of the two emits, and the ends of its inputs."""
    matching = Counter((one, other) for one in left for other in right if seventh(one) == seventh(other))
    return matching + Counter({(0, None): subtasks, (1, None): subtasks})


@pytest.mark.parametrize("chains", ["generated", "interpreted"])
@pytest.mark.parametrize("parallelism", [1, 3])
@pytest.mark.parametrize("buffer_size", [1, 500])
def test_records_arrive_with_their_input(chains: str, parallelism: int, buffer_size: int) -> None:
    """Each pair once, whatever the interleaving; each end once in each subtask."""
    config = JobConfig(chains=chains, parallelism=parallelism, buffer_size=buffer_size)
    job = StreamJob("join", config)
    left = job.source(CollectionSource(range(40)), uid="left")
    right = job.source(CollectionSource(range(100)), uid="right")
    results = CollectSink[Any]()
    join(left, right, seventh).map(tuple).sink(results)
    assert job.execute().status is JobStatus.COMPLETED
    assert Counter(results.values) == pairs(range(40), range(100), parallelism)


def test_one_stream_may_be_both_inputs() -> None:
    job, results = StreamJob("self"), CollectSink[Any]()
    numbers = job.source(CollectionSource(range(30)))
    join(numbers, numbers, seventh).sink(results)
    job.execute()
    assert Counter(results.values) == pairs(range(30), range(30), 1)


def test_an_input_that_waits_does_not_hold_up_the_other(numbers: Any, calling: Any) -> None:
    """The left source waits until the right one's records have met those that it has emitted."""
    met, wanted = threading.Event(), pairs(range(10), range(50))
    seen: list[Any] = []

    def wait(position: int) -> None:
        if position >= 10:
            assert met.wait(30), f"only {len(seen)} pairs came"

    def take(values: list[Any]) -> None:
        seen.extend(values)
        if Counter(seen) >= wanted:
            met.set()

    job = StreamJob("slow", JobConfig(checkpoint_interval=timedelta(milliseconds=20)))
    left = job.source(numbers(20, wait, 10), uid="left")
    join(left, job.source(numbers(50), uid="right"), seventh).sink(calling(take))
    assert job.execute().status is JobStatus.COMPLETED
    assert Counter(seen) == pairs(range(20), range(50), 1)


def test_both_inputs_continue_from_one_instant(checkpoints: Path, gated_numbers: Any) -> None:
    """What a checkpoint covers of one input has met what it covers of the other: each pair once."""
    results, calls = CollectSink[Any](), Counter[str]()

    def fail_once(pair: Any) -> Any:
        calls["pairs"] += 1
        if calls["pairs"] == 9000:
            raise OSError("the machine is on fire")
        return pair

    restart = RestartStrategy.fixed_delay(attempts=1, delay=timedelta(0), retry_on=(OSError,))
    config = JobConfig(checkpoint_rows=150, checkpoint_dir=str(checkpoints), restart=restart, parallelism=2)
    job = StreamJob("restarted", config)
    left = job.source(CollectionSource(range(60)), uid="left")
    right = job.source(gated_numbers(1500), uid="right")
    join(left, right, seventh).map(fail_once).sink(results)
    done = job.execute()
    assert (done.status, done.restarts) == (JobStatus.COMPLETED, 1)
    assert done.restored_from is None
    assert done.checkpoints > 2
    assert Counter(results.values) == pairs(range(60), range(1500), 2)


# --- time ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Timed(OperatorFactory):
    """Emits for each record whether event time had passed it when it came."""

    kind: ClassVar[str] = "timed"
    reads_time: ClassVar[bool] = True

    @property
    def functions(self) -> Sequence[Function]:
        return ()

    def create_operator(self) -> StreamOperator[Any, Any]:
        return TimedOperator()


class TimedOperator(StreamOperator[Any, Any]):
    def __init__(self) -> None:
        self._watermark = -1

    def process_batch(self, batch: Batch[Any], input_index: int) -> Batch[Any]:
        assert batch.timestamps is not None
        return Batch([(input_index, value, value <= self._watermark) for value in batch.values])

    def process_watermark(self, timestamp: int) -> None:
        self._watermark = max(self._watermark, timestamp)


def test_event_time_is_that_of_the_slower_input() -> None:
    """So no record is late for an operator of two inputs that is not late for its own source."""
    job, results = StreamJob("time", JobConfig(source_batch_size=3)), CollectSink[Any]()
    in_order = WatermarkStrategy.monotonic(timestamp=int)
    left = job.source(CollectionSource(range(900)), uid="left", watermarks=in_order)
    right = job.source(CollectionSource(range(500, 600)), uid="right", watermarks=in_order)
    output = job.graph.add_operator(Timed(), [left.output, right.output])
    Stream[Any](job, output).sink(results)
    job.execute()
    assert Counter(input_index for input_index, *_ in results.values) == {0: 900, 1: 100}
    assert [late for *_, late in results.values].count(True) == 0


# --- without a job ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_any_interleaving_and_a_restore_give_the_same(seed: int) -> None:
    """At a random point its state moves to another parallelism."""
    rng = random.Random(seed)
    left, right = ([rng.randrange(50) for _ in range(40)] for _ in range(2))
    feed = [(0, number) for number in left] + [(1, number) for number in right]
    rng.shuffle(feed)
    cut, before, after = rng.randrange(len(feed)), rng.choice([1, 2, 3]), rng.choice([1, 2, 3])

    def run(part: list[tuple[int, int]], parallelism: int, snapshots: Any) -> tuple[list[Any], list[Any]]:
        harnesses = [
            OperatorHarness(Join(seventh), subtask=at, parallelism=parallelism, restore=snapshots)
            for at in range(parallelism)
        ]
        found: list[Any] = []
        for input_index, number in part:
            owner = harnesses[owner_of(number, parallelism)]
            found += owner.process([number], input_index=input_index)
        taken = [harness.snapshot() for harness in harnesses]
        for harness in harnesses:
            harness.close()
        return found, taken

    first, snapshots = run(feed[:cut], before, ())
    second, _ = run(feed[cut:], after, snapshots)
    assert Counter(first + second) == pairs(left, right)


def owner_of(number: int, parallelism: int) -> int:
    return subtask_of(key_groups([seventh(number)], 128)[0], parallelism, 128)
