"""What a run says of itself: records in and out, samples of what failed, how each attempt ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectionSource, CollectSink
from pipeline import (
    ErrorPolicy,
    FailedRecord,
    JobConfig,
    JobControl,
    JobResult,
    JobStatus,
    RestartStrategy,
    SourceError,
    StreamJob,
    UserFunctionError,
)
from pipeline.core.functions import function_ref
from pipeline.runtime.events import CheckpointCompleted, JobEvent

pytestmark = pytest.mark.usefixtures("nothing_left")


def often(checkpoints: Path, **settings: Any) -> JobConfig:
    return JobConfig(
        checkpoint_rows=100,
        checkpoint_min_pause=timedelta(0),
        checkpoint_dir=checkpoints,
        source_batch_size=100,
        **settings,
    )


def outcomes(checkpoints: Path, job: str) -> list[dict[str, Any]]:
    """How each attempt ended, in their order."""
    folders = sorted((checkpoints / job / "attempts").iterdir(), key=lambda folder: int(folder.name))
    return [json.loads((folder / "outcome.json").read_text()) for folder in folders]


def test_records_out_are_counted_for_each_sink() -> None:
    job = StreamJob("shapes", JobConfig(parallelism=2))
    numbers = job.source(CollectionSource(range(1000)))
    numbers.filter(lambda n: n % 10 == 0).sink(CollectSink(), uid="tens")
    numbers.flat_map(lambda n: [n, n]).sink(CollectSink(), uid="twice")
    numbers.filter(lambda n: n < 0).sink(CollectSink(), uid="none")
    result = job.execute()
    assert result.written_by_sink == {"tens": 100, "twice": 2000, "none": 0}
    assert (result.processed_records, result.written_records) == (1000, 2100)


def test_records_out_count_on_as_records_in_do(numbers: Any, checkpoints: Path) -> None:
    """Over a restart, which takes back what came after the checkpoint, and over a stop and a second run."""
    control, stopped = JobControl(), threading.Event()
    failed: list[int] = []

    def before(position: int) -> None:
        if position >= 1500 and not failed:
            failed.append(position)
            raise SourceError("lost the connection")
        if position >= 3000:
            control.stop()
            assert stopped.wait(30)

    def listen(event: JobEvent) -> None:
        if isinstance(event, CheckpointCompleted) and event.kind == "STOP":
            stopped.set()

    config = often(checkpoints, restart=RestartStrategy.fixed_delay(1, timedelta(0)))

    def run(source: Any, **options: Any) -> JobResult:
        job = StreamJob("counting", config)
        job.source(source, uid="in").filter(lambda n: n % 2 == 0).sink(CollectSink(), uid="out")
        return job.execute(**options)

    half = run(numbers(6000, before), control=control, listeners=[listen])
    assert (half.status, half.restarts) == (JobStatus.CANCELLED, 1)
    assert 3000 <= half.processed_records < 6000
    assert half.written_by_sink == {"out": (half.processed_records + 1) // 2}
    completed = run(numbers(6000))
    assert (completed.processed_records, completed.written_by_sink) == (6000, {"out": 3000})


def bad_tens(n: int) -> int:
    if n % 10 == 0:
        raise ValueError(f"{n} is bad")
    return n


def sample(records: Mapping[int, int], operator: str) -> list[FailedRecord]:
    """Describe failed records, given each with the position of what it was read from."""
    function = str(function_ref(bad_tens))
    return [
        FailedRecord(str(n), f"ValueError: {n} is bad", operator, function, f"collection@{position}")
        for n, position in records.items()
    ]


@pytest.mark.parametrize("policy", [ErrorPolicy.skip(), ErrorPolicy.retry(1, then=ErrorPolicy.skip())])
def test_the_first_records_that_were_skipped_are_kept(policy: ErrorPolicy, checkpoints: Path) -> None:
    job = StreamJob("skipping", JobConfig(checkpoint_dir=checkpoints))
    stream = job.source(CollectionSource(range(1000))).map(bad_tens, on_error=policy, uid="first")
    stream.map(lambda n: n * 10).map(bad_tens, on_error=policy, uid="second").sink(CollectSink())
    result = job.execute()
    expected = [
        *sample({n: n for n in (0, 10, 20, 30, 40)}, "first"),
        *sample({10 * n: n for n in (1, 2, 3, 4, 5)}, "second"),
    ]
    assert sorted(result.failed_samples, key=lambda one: one.operator) == expected
    assert (result.failed_records, result.written_records) == (1000, 0)
    (outcome,) = outcomes(checkpoints, "skipping")
    assert [one["error"] for one in outcome["failed_samples"]] == [one.error for one in result.failed_samples]
    assert outcome["status"] == "COMPLETED"


def test_an_attempt_that_fails_records_its_error(numbers: Any, checkpoints: Path) -> None:
    """That which was restarted, too: its error is in its own outcome."""
    failed: list[int] = []

    def before(position: int) -> None:
        if position >= 500 and not failed:
            failed.append(position)
            raise SourceError("lost the connection")

    config = often(checkpoints, restart=RestartStrategy.fixed_delay(1, timedelta(0)))
    job = StreamJob("failing", config)
    job.source(numbers(1000, before), uid="in").map(lambda n: 1 // (n - 900)).sink(CollectSink())
    with pytest.raises(UserFunctionError) as raised:
        job.execute()
    restarted, ended = outcomes(checkpoints, "failing")
    assert (restarted["status"], restarted["fault"], restarted["retryable"]) == (
        "FAILED",
        "environment",
        True,
    )
    assert restarted["error"] == "lost the connection [job failing, operator in]"
    assert (ended["status"], ended["fault"], ended["retryable"]) == ("FAILED", "user", False)
    assert ended["error"] == str(raised.value)
