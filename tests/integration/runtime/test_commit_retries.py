"""A commit that is tried again: what the subtasks say meanwhile is neither lost nor late."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import JobConfig, JobStatus, StreamJob
from pipeline.runtime.control import JobControl
from pipeline.spi.sink import CommitOutcome, SinkInfo, TwoPhaseCommitSink

pytestmark = pytest.mark.usefixtures("nothing_left")

ROWS = 100
PATIENCE_S = 20


class Moments:
    """Where the first commit and the input are."""

    def __init__(self) -> None:
        self.refused = threading.Event()
        self.input_ended = threading.Event()


class Hesitating(TwoPhaseCommitSink[int, list[int]]):
    """Asks three times for another try of its first commit, and the input ends before the second one."""

    def __init__(self, moments: Moments, visible: list[int]) -> None:
        self._moments = moments
        self._visible = visible
        self._tries = 0

    @property
    def info(self) -> SinkInfo:
        return SinkInfo("hesitating", "memory", "exactly-once")

    def begin_transaction(self) -> list[int]:
        return []

    def invoke_batch(self, txn: list[int], values: Sequence[int], ctx: Any) -> None:
        txn.extend(values)

    def pre_commit(self, txn: list[int]) -> list[int]:
        return txn

    def commit(self, txn: list[int]) -> CommitOutcome:
        self._tries += 1
        if self._tries <= 3:
            self._moments.refused.set()
            assert self._moments.input_ended.wait(PATIENCE_S)
            return CommitOutcome.RETRY
        self._visible.extend(txn)
        return CommitOutcome.COMMITTED

    def recover_and_commit(self, txn: list[int]) -> CommitOutcome:
        raise AssertionError("there is one attempt")

    def abort(self, txn: list[int]) -> None:
        pass

    def recover_and_abort(self, keep: Sequence[list[int]]) -> None:
        pass

    def finish(self) -> None:
        self._moments.input_ended.set()


def test_an_input_that_ends_while_a_commit_is_tried_again_ends_the_job(
    numbers: Any, checkpoints: Path
) -> None:
    """Its end was said once: a job that has not listened waits for it for ever."""
    moments, visible, control = Moments(), list[int](), JobControl()

    def end_during_the_commit(emitted: int) -> None:
        if emitted == 2 * ROWS:
            assert moments.refused.wait(PATIENCE_S)

    config = JobConfig(checkpoint_rows=ROWS, checkpoint_min_pause=timedelta(0), checkpoint_dir=checkpoints)
    job = StreamJob("hesitating", config)
    job.source(numbers(2 * ROWS, end_during_the_commit)).sink(Hesitating(moments, visible))
    too_late = threading.Timer(PATIENCE_S, control.abort)
    too_late.start()
    try:
        result = job.execute(control=control)
    finally:
        too_late.cancel()
        too_late.join()
    assert result.status is JobStatus.COMPLETED
    assert visible == list(range(2 * ROWS))
