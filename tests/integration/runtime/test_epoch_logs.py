"""Epoch logs in a running job: stored before the decision, read after a failure, dropped after the note."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import JobConfig, JobStatus, RestartStrategy, StreamJob
from pipeline.core.errors import CheckpointError, SinkError
from pipeline.runtime.events import CheckpointFailed
from pipeline.spi.sink import CommitOutcome, EpochLog, SinkContext, SinkInfo, TwoPhaseCommitSink

pytestmark = pytest.mark.usefixtures("nothing_left")


@dataclass
class Target:
    """What outlives an attempt: the epochs that are visible, and what is to go wrong.

    Args:
        most: records that the sink takes into one epoch.
    """

    visible: list[bytes] = field(default_factory=list[bytes])
    fail_commits: int = 0
    refuse_seals: int = 0
    refusals_pass: bool = True
    most: int = 10**9
    largest: int = 0
    joined: int = 0


class LoggedSink(TwoPhaseCommitSink[int, dict[str, Any]]):
    """Keeps its epochs in nothing but the log; a commit reads it."""

    commit_timeout = timedelta()

    def __init__(self, target: Target) -> None:
        self._target = target

    @property
    def info(self) -> SinkInfo:
        return SinkInfo("logged", "memory", "exactly-once")

    @property
    def wants_more(self) -> bool:
        return self._records < self._target.most

    def open(self, ctx: SinkContext) -> None:
        self._ctx = ctx
        self._log: EpochLog | None = None
        self._records = 0

    def begin_transaction(self) -> dict[str, Any]:
        self._records = 0
        return {"logs": []}

    def invoke_batch(self, txn: dict[str, Any], values: Sequence[int], ctx: SinkContext) -> None:
        if self._log is None:
            self._log = ctx.open_log()
        self._log.append(b"".join(b"%d\n" % value for value in values))
        self._records += len(values)
        self._target.largest = max(self._target.largest, self._records)

    def pre_commit(self, txn: dict[str, Any]) -> dict[str, Any] | None:
        if self._log is None:
            return None
        if self._target.refuse_seals:
            self._target.refuse_seals -= 1
            raise CheckpointError("no room for the log", retryable=self._target.refusals_pass)
        txn["logs"].append(self._log.seal())
        self._log = None
        return txn

    def join(self, older: dict[str, Any], younger: dict[str, Any]) -> dict[str, Any]:
        self._target.joined += 1
        return {"logs": older["logs"] + younger["logs"]}

    def commit(self, txn: dict[str, Any]) -> CommitOutcome:
        if self._target.fail_commits:
            self._target.fail_commits -= 1
            raise SinkError("the target is away")
        for name in txn["logs"]:
            self._target.visible.extend(self._ctx.read_log(name))
        return CommitOutcome.COMMITTED

    def abort(self, txn: dict[str, Any]) -> None:
        pass

    def recover_and_abort(self, keep: Sequence[dict[str, Any]]) -> None:
        pass

    def close(self) -> None:
        if self._log is not None:
            self._log.discard()


def job_of(source: Any, target: Target, checkpoints: Path, **config: Any) -> StreamJob:
    settings: dict[str, Any] = {
        "checkpoint_rows": 100,
        "checkpoint_dir": checkpoints,
        "checkpoint_min_pause": timedelta(),
        "restart": RestartStrategy.fixed_delay(3, timedelta()),
        "source_batch_size": 10,
    }
    return (
        StreamJob.builder()
        .name("logged")
        .source(source)
        .sink(LoggedSink(target))
        .config(JobConfig(**(settings | config)))
        .build()
    )


def stored(checkpoints: Path) -> list[str]:
    return sorted(path.name for path in (checkpoints / "logged" / "parts").iterdir())


def visible(target: Target) -> list[int]:
    return [int(line) for line in b"".join(target.visible).split()]


def test_an_epoch_is_read_back_from_its_log(numbers: Any, checkpoints: Path) -> None:
    """Within the attempt; when all is noted no log is left."""
    target = Target()
    job_of(numbers(1000), target, checkpoints).execute()

    assert visible(target) == list(range(1000))
    assert stored(checkpoints) == []


def test_a_restart_commits_from_the_log(numbers: Any, checkpoints: Path) -> None:
    """A commit that fails leaves the log to the next attempt, which knows it by the manifest only."""
    target = Target(fail_commits=1)
    result = job_of(numbers(1000), target, checkpoints).execute()

    assert result.restarts == 1
    assert visible(target) == list(range(1000))
    assert stored(checkpoints) == []


def test_a_log_that_cannot_be_sealed_declines_the_checkpoint(
    numbers: Any, checkpoints: Path, calling: Callable[..., Any]
) -> None:
    """The job continues in the same epoch, which the next checkpoint completes."""
    target, events = Target(refuse_seals=2), list[Any]()
    result = job_of(numbers(1000), target, checkpoints).execute(listeners=[events.append])

    assert result.status is JobStatus.COMPLETED
    assert result.restarts == 0
    failed = [event.reason for event in events if isinstance(event, CheckpointFailed)]
    assert len(failed) == 2
    assert "no room for the log" in failed[0]
    assert visible(target) == list(range(1000))


def test_a_log_that_no_retry_helps_fails_the_job(numbers: Any, checkpoints: Path) -> None:
    """As after a failed fsync: what reached the disk is unknown, so nothing may be decided on it."""
    target = Target(refuse_seals=1, refusals_pass=False)
    with pytest.raises(CheckpointError, match="no room for the log") as failed:
        job_of(numbers(1000), target, checkpoints).execute()

    assert failed.value.operator == "logged:memory"
    assert visible(target) == []


def test_a_full_epoch_ends_before_more_is_asked_for(numbers: Any, checkpoints: Path) -> None:
    """Long before its rows or interval are reached; what was asked for before still comes."""
    target = Target(most=50)
    job = job_of(numbers(5000), target, checkpoints, checkpoint_rows=10**6, sink_batch_size=10)
    result = job.execute()

    assert visible(target) == list(range(5000))
    assert result.checkpoints > 10
    assert target.largest < 200


def test_a_full_epoch_that_nothing_can_end_fails_the_job(numbers: Any) -> None:
    """Without checkpoints the only epoch ends with the input, which would never be read."""
    job = (
        StreamJob.builder()
        .name("logged")
        .source(numbers(5000))
        .sink(LoggedSink(Target(most=50)))
        .config(JobConfig(checkpoint_rows=None, checkpoint_interval=None, sink_batch_size=10))
        .build()
    )
    with pytest.raises(SinkError, match="the epoch of sink logged:memory is full"):
        job.execute()
