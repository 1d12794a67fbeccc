"""The report on a job that does not move: what its parts say, and where its threads are."""

from __future__ import annotations

import threading

from pipeline.cli.state_report import state_report
from pipeline.core.job import JobStatus
from pipeline.runtime.statistics import (
    AttemptStatistics,
    CheckpointStatistics,
    InputStatistics,
    SubtaskStatistics,
)

QUIET = CheckpointStatistics(None, None, 0, (), 3)


def said(
    checkpoints: CheckpointStatistics = QUIET, *subtasks: SubtaskStatistics, waiting: int = 0
) -> list[str]:
    """The report without the threads."""
    statistics = AttemptStatistics(JobStatus.CHECKPOINTING, checkpoints, waiting, subtasks)
    lines = list(state_report("totals", statistics))
    return lines[: lines.index("  threads, the innermost call first:")]


def test_a_job_between_two_checkpoints() -> None:
    source = SubtaskStatistics("Source/0", "totals/in", "reading", 1_024, 20_480, 0, suspended=False)
    assert said(QUIET, source) == [
        "totals: CHECKPOINTING",
        "  3 checkpoints completed",
        "  Source/0 [totals/in]: reading, demand 1,024, emitted 20,480",
    ]


def test_a_checkpoint_under_way_names_whom_it_waits_for() -> None:
    under_way = CheckpointStatistics(4, "STOP", 12_340, ("Sum/0", "Sum/1"), 3)
    assert said(under_way, waiting=2)[1] == (
        "  3 checkpoints completed; checkpoint 4 (STOP) under way for 12.3 s, no answer yet "
        "from Sum/0, Sum/1; "
        "2 snapshots to store"
    )


def test_a_subtask_shows_its_inputs_and_what_it_holds() -> None:
    inputs = (
        InputStatistics(12, 100, barrier_arrived=True, ended=False),
        InputStatistics(0, None, False, True),
    )
    inner = SubtaskStatistics("Sum/0", "totals/Sum/0", "running", 0, 0, 7, suspended=True, inputs=inputs)
    assert said(QUIET, inner)[2:] == [
        "  Sum/0 [totals/Sum/0]: running, demand 0, written 7, output of a record waits for demand",
        "    input 0: 12 of 100 records, its barrier has come",
        "    input 1: 0 of ∞ records, ended",
    ]


def test_threads_of_the_job_show_where_they_are() -> None:
    """Those of other jobs do not, nor the one that asks."""
    entered, leave = threading.Barrier(3), threading.Event()

    def stuck() -> None:
        entered.wait()
        leave.wait()

    threads = [threading.Thread(target=stuck, name=name) for name in ("totals/in", "other/in")]
    for thread in threads:
        thread.start()
    entered.wait()
    lines = list(state_report("totals", None))
    leave.set()
    for thread in threads:
        thread.join()
    assert lines[0] == "totals: has not begun yet"
    (line,) = [line for line in lines if "totals/in: " in line]
    assert "stuck (test_state_report.py:" in line
    assert not any("other/in" in line for line in lines)
    assert not any("MainThread" in line for line in lines), "it asks"
