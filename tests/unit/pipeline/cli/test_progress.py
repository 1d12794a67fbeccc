"""ProgressReport: the lines people read while a job runs, and the numbers in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.cli import progress as module
from pipeline.cli.progress import ProgressReport
from pipeline.core.errors import SourceError
from pipeline.core.job import JobStatus
from pipeline.core.records import FailedRecord
from pipeline.runtime.control import JobControl
from pipeline.runtime.events import (
    CheckpointCompleted,
    CheckpointFailed,
    CleanUpFailed,
    JobEvent,
    JobStarted,
    Restarting,
    StatusChanged,
    StopFailed,
    StopForced,
    ThreadAbandoned,
)
from pipeline.runtime.result import EdgeProgress, EventTimeProgress, JobResult, Progress


class Reported:
    """A report to a narrow log, on a clock moved by hand; its thread's waits take no time.

    Args:
        terminal: the kind of terminal that it is shown on instead, of 80 columns.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        checkpoints: bool = True,
        quiet: bool = False,
        terminal: str | None = None,
    ) -> None:
        self.now = 100.0
        self.pauses: list[float] = []
        self.looks: list[Progress] = []
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setenv("COLUMNS", "30")
        for forcing in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(forcing, raising=False)
        if terminal is not None:
            monkeypatch.setenv("TTY_COMPATIBLE", "1")
            monkeypatch.setenv("COLUMNS", "80")
            monkeypatch.setenv("TERM", terminal)
        control = JobControl()
        control.watch(lambda: self.looks.pop(0))
        self.report = ProgressReport("totals", control, checkpoints=checkpoints, quiet=quiet)
        monkeypatch.setattr(self.report, "_done", SimpleNamespace(wait=self._wait, set=lambda: None))

    def _wait(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        self.now += seconds
        return not self.looks

    def draw(self, *looks: Progress) -> None:
        """Let the report look at the job as often as there are pictures."""
        self.looks = list(looks)
        with self.report:
            pass


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> Reported:
    return Reported(monkeypatch)


NOON = 1_357_041_600_000
"""2013-01-01 12:00 UTC."""


def running(**numbers: Any) -> Progress:
    return Progress(JobStatus.RUNNING, **numbers)


def started(processed: int = 0, restored_from: int | None = None, restart: int = 0) -> JobStarted:
    return JobStarted("totals", "e1", 1 + restart, restored_from, processed, restart)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was printed, all of it on stderr."""
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()


def test_remarks_on_the_job_are_printed_once(reported: Reported, capsys: pytest.CaptureFixture[str]) -> None:
    """Not at each restart."""
    for restart in (0, 1):
        reported.report.listen(replace(started(restart=restart), remarks=("windows go by the clock",)))
    assert lines(capsys).count("windows go by the clock") == 1


class TestPlainLines:
    def test_they_come_ever_more_seldom(self, reported: Reported, capsys: pytest.CaptureFixture[str]) -> None:
        """After one second, then each pause twice as long, up to ten seconds: a log does not fill up."""
        reported.draw(*[running()] * 6)
        assert reported.pauses == [1, 2, 4, 8, 10, 10, 10]
        assert len(lines(capsys)) == 6

    def test_records_rate_and_checkpoints(
        self, reported: Reported, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reported.report.listen(StatusChanged(JobStatus.RUNNING))
        reported.draw(running(processed=1_500, checkpoints=2), running(processed=9_000, checkpoints=4))
        assert lines(capsys) == [
            "totals: running · in 1,500 · 1,500/s · out 0 · 2 checkpoints",
            "totals: running · in 9,000 · 3,000/s · out 0 · 4 checkpoints",
        ]

    def test_a_phase_is_named(self, reported: Reported, capsys: pytest.CaptureFixture[str]) -> None:
        reported.report.listen(StatusChanged(JobStatus.INITIALIZING, "RESTORE"))
        reported.draw(running())
        assert lines(capsys)[0].startswith("totals: initializing (RESTORE) · in 0 · 0/s")

    def test_what_is_left_where_the_size_is_known(
        self, reported: Reported, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Share and time left go by the rate of this run; an estimate that was too low is not denied."""
        reported.draw(
            running(processed=1_000, estimated=5_000),
            running(processed=0, estimated=5_000),
            running(processed=6_000, estimated=5_000),
            running(processed=3, estimated=0),
        )
        assert [line.split(" · ")[4] for line in lines(capsys)] == [
            "20% of about 5,000, about 4 s left",
            "0% of about 5,000",
            "nearly done",
            "0 checkpoints",
        ]

    def test_failed_records_and_buffers_where_there_are_any(
        self, reported: Reported, capsys: pytest.CaptureFixture[str]
    ) -> None:
        edges = (EdgeProgress("→Reduce", 12, 256), EdgeProgress("→Sink", 0, 8_192))
        reported.draw(running(processed=10, failed=1_234, edges=edges))
        assert lines(capsys)[0].endswith("1,234 failed · 0 checkpoints · →Reduce 12/256 · →Sink 0/8192")

    def test_what_went_out_by_sink_where_there_are_several(
        self, reported: Reported, capsys: pytest.CaptureFixture[str]
    ) -> None:
        by_sink = {"kafka:alerts": 1_200, "file:late.csv": 30}
        reported.draw(
            running(written=1_200, written_by_sink={"kafka:alerts": 1_200}),
            running(written=1_230, written_by_sink=by_sink),
        )
        assert [line.split(" · ")[3] for line in lines(capsys)] == [
            "out 1,200",
            "out 1,230 (kafka:alerts 1,200, file:late.csv 30)",
        ]

    def test_event_time_and_what_holds_it(
        self, reported: Reported, capsys: pytest.CaptureFixture[str]
    ) -> None:
        held = EventTimeProgress("kafka:in", NOON, 1_500, "in/2", 7_200_000)
        reported.draw(running(event_time=held, open_windows=3))
        said = "event time 2013-01-01 12:00:00Z (lag 1.5 s), held by in/2 (2.0 h behind) · 3 open windows"
        assert said in lines(capsys)[0]

    def test_windows_that_wait_are_hinted_at_once(
        self, reported: Reported, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """After ten seconds in which event time has not moved, and not again."""
        silent = running(event_time=EventTimeProgress("kafka:in", held_by="in/2"), open_windows=3)
        reported.draw(*[silent] * 9)
        hints = [line for line in lines(capsys) if line.startswith("hint: ")]
        assert len(hints) == 1
        assert hints[0].startswith(
            "hint: 3 windows wait for in/2, which has emitted nothing: with_idleness(…)"
        )


class TestTerminal:
    EDGES = (EdgeProgress("→Reduce", 1_024, 8_192), EdgeProgress("→Sink", 0, 8_192))
    LOOK = running(processed=1_234_567, estimated=9_876_543, checkpoints=12, edges=EDGES)

    def test_nothing_is_cut_from_the_live_lines(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What does not fit on one line of the terminal is on a second."""
        Reported(monkeypatch, terminal="xterm").draw(self.LOOK)
        printed = capsys.readouterr().err
        assert "12 checkpoints · →Reduce 1024/8192\n→Sink 0/8192\n" in printed
        assert "…" not in printed

    def test_one_that_can_only_print_gets_the_plain_lines(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        Reported(monkeypatch, terminal="dumb").draw(self.LOOK)
        assert lines(capsys)[0].startswith("totals: starting · in 1,234,567 · ")


class TestContinuing:
    def test_only_this_runs_records_make_its_rate(
        self, reported: Reported, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """300,000 records of an earlier run were not read in this second."""
        reported.report.listen(started(processed=300_000, restored_from=12))
        reported.draw(running(processed=301_000, estimated=304_000))
        left = "99% of about 304,000, about 3 s left"
        assert lines(capsys) == [
            "totals continues from checkpoint 12 (300,000 records before it), execution e1, attempt 1",
            f"totals: starting · in 301,000 · 1,000/s · out 0 · {left} · 0 checkpoints",
        ]

    def test_a_restart_within_the_run_takes_nothing_off(
        self, reported: Reported, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What the run had read before its restart was read in this run."""
        reported.report.listen(started())
        reported.report.listen(started(processed=900, restored_from=3, restart=1))
        reported.draw(running(processed=1_000))
        reported.report.summarise(result(processed_records=1_000, restarts=1))
        said = lines(capsys)
        assert "attempt 2" in said[1]
        assert "(900 records before it)" in said[1]
        assert "1,000/s" in said[2]
        assert "  records in   1,000, 500/s" in said


def result(status: JobStatus = JobStatus.COMPLETED, **numbers: Any) -> JobResult:
    settings: dict[str, Any] = {"processed_records": 10_000, "failed_records": 0, **numbers}
    return JobResult(status, duration=timedelta(seconds=2), state={}, execution_id="e1", **settings)


class TestSummary:
    def test_of_a_fresh_run(self, reported: Reported, capsys: pytest.CaptureFixture[str]) -> None:
        reported.report.listen(started())
        reported.report.summarise(result(failed_records=1_200))
        assert lines(capsys) == [
            "totals starts afresh, execution e1, attempt 1",
            "totals: COMPLETED in 2.0 s",
            "  records in   10,000, 5,000/s",
            "  records out  0",
            "  failed       1,200",
            "  checkpoints  0",
        ]

    def test_of_what_failed_was_late_and_went_out(
        self, reported: Reported, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """With a few of the records that failed, and why."""
        samples = tuple(
            FailedRecord(f"'{n}'", "ValueError: bad", "map:parse", "parse (job.py:3)", position)
            for n, position in enumerate(["in.csv@1", None, "in.csv@3", "in.csv@4"])
        )
        reported.report.summarise(
            result(
                failed_records=4,
                failed_samples=samples,
                late_records=2,
                dropped_records=1,
                written_records=9,
                written_by_sink={"file:a": 4, "file:b": 5},
                event_time=NOON,
            )
        )
        assert lines(capsys) == [
            "totals: COMPLETED in 2.0 s",
            "  records in   10,000, 5,000/s",
            "  records out  9 (file:a 4, file:b 5)",
            "  failed       4",
            "    map:parse at in.csv@1: ValueError: bad; the record: '0'",
            "    map:parse: ValueError: bad; the record: '1'",
            "    map:parse at in.csv@3: ValueError: bad; the record: '2'",
            "  dropped      1",
            "  late         2",
            "  event time   2013-01-01 12:00:00Z",
            "  checkpoints  0",
        ]

    def test_what_cannot_be_resumed_says_so(
        self, reported: Reported, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """When it starts, and when it is stopped."""
        reported.report.listen(replace(started(), resumable=False))
        reported.report.summarise(result(JobStatus.CANCELLED, checkpoint_path="/data/totals"))
        said = lines(capsys)
        assert said[1] == "totals cannot be resumed: its output is committed once, at the end"
        assert said[-1] == "  run it again to start over"

    def test_a_job_without_checkpoints_has_none_to_promise(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        report = Reported(monkeypatch, checkpoints=False).report
        report.listen(started())
        report.summarise(result(JobStatus.CANCELLED))
        assert lines(capsys)[-1] == "  run it again to start over"

    def test_what_is_gone_with_the_process_is_not_promised(
        self, reported: Reported, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reported.report.listen(replace(started(), durable=False))
        reported.report.summarise(result(JobStatus.CANCELLED, checkpoint_path="/data/totals"))
        assert lines(capsys)[-1] == "  run it again to start over"

    def test_of_one_that_continued(self, reported: Reported, capsys: pytest.CaptureFixture[str]) -> None:
        """The whole and its own part of it; where the checkpoints are; how to continue."""
        reported.report.listen(started(processed=4_000, restored_from=2))
        stopped = result(JobStatus.CANCELLED, checkpoints=5, checkpoint_path="/data/totals", restarts=1)
        reported.report.summarise(stopped)
        assert lines(capsys)[1:] == [
            "totals: CANCELLED in 2.0 s",
            "  records in   10,000 (6,000 in this run), 3,000/s",
            "  records out  0",
            "  failed       0",
            "  checkpoints  5 in /data/totals",
            "  restarts     1",
            "  run it again to continue from its last checkpoint",
        ]

    def test_of_one_that_took_no_time(self, reported: Reported, capsys: pytest.CaptureFixture[str]) -> None:
        reported.report.summarise(JobResult(JobStatus.COMPLETED, 0, 0, timedelta(), {}, "e1"))
        assert lines(capsys)[1] == "  records in   0, 0/s"


def test_a_stop_that_is_forced_shows_first_what_held_it(
    reported: Reported, capsys: pytest.CaptureFixture[str]
) -> None:
    reported.report.listen(StopForced(30_000))
    said = lines(capsys)
    assert said[0] == "totals: has not begun yet"
    assert said[-1] == "no last checkpoint within 30 s (cancel_timeout); leaving without it"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (CheckpointFailed(7, "timed out"), ["checkpoint 7 failed: timed out"]),
        (CleanUpFailed(OSError("disk full")), ["old checkpoints could not be deleted: disk full"]),
        (Restarting(SourceError("cut off"), 1_500), ["failed: cut off; restarting in 1.5 s"]),
        (
            ThreadAbandoned("totals/in"),
            ["thread totals/in did not stop in time and was left behind"],
        ),
        (StopFailed(SourceError("cut off")), ["failed: cut off; leaving without a last checkpoint"]),
        (CheckpointCompleted(7, "PERIODIC", 12, 100), []),
        (StatusChanged(JobStatus.RUNNING), []),
    ],
)
def test_what_people_want_to_know_is_reported_at_once(
    reported: Reported, capsys: pytest.CaptureFixture[str], event: JobEvent, said: list[str]
) -> None:
    reported.report.listen(event)
    assert lines(capsys) == said


def test_a_message_is_not_read_as_markup(reported: Reported, capsys: pytest.CaptureFixture[str]) -> None:
    """`[job totals]` in an error is text, also in brackets."""
    reported.report.listen(CheckpointFailed(7, "[red] [job totals] :boom:"))
    assert lines(capsys) == ["checkpoint 7 failed: [red] [job totals] :boom:"]


def test_quiet_says_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    reported = Reported(monkeypatch, quiet=True)
    reported.draw(running(processed=5))
    reported.report.listen(started())
    reported.report.note_signal("SIGINT", 1)
    reported.report.summarise(result())
    assert lines(capsys) == []
    assert reported.pauses == []


@pytest.mark.parametrize(
    ("checkpoints", "resumable", "what"),
    [
        (True, True, "taking a last checkpoint"),
        (True, False, "stopping; there is no checkpoint to take, so the next run starts over"),
        (False, True, "stopping; there is no checkpoint to take, so the next run starts over"),
    ],
)
def test_a_signal_is_answered(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    *,
    checkpoints: bool,
    resumable: bool,
    what: str,
) -> None:
    """The first with what it does and a second would do; no checkpoint is promised where none is taken."""
    report = Reported(monkeypatch, checkpoints=checkpoints).report
    report.listen(replace(started(), resumable=resumable))
    capfd.readouterr()
    report.note_signal("SIGTERM", 1)
    report.note_signal("SIGINT", 2)
    assert capfd.readouterr().err == f"\nSIGTERM: {what}; again to leave at once\n\nSIGINT: leaving at once\n"
