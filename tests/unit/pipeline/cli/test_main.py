"""The command's front: what is printed where, with which exit code; the engine is not started."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pipeline.api.job import StreamJob
from pipeline.cli.main import app
from pipeline.core.errors import (
    ConfigError,
    Fenced,
    InternalError,
    JobAlreadyRunning,
    PipelineError,
    SourceError,
    UserFunctionError,
)
from pipeline.core.job import JobStatus
from pipeline.runtime.result import JobResult

from .conftest import WriteJob


def command(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


class TestExplain:
    def test_text_is_for_people(self, write_job: WriteJob) -> None:
        shown = command("explain", write_job())
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert shown.stdout.startswith("totals · BATCH_ROLLER\n")
        assert "map:double" in shown.stdout
        assert "totals.py:" in shown.stdout

    def test_json_is_for_programs(self, write_job: WriteJob) -> None:
        shown = command("explain", write_job(), "--format", "json")
        assert shown.exit_code == 0
        assert json.loads(shown.stdout)["job"] == "totals"

    def test_mermaid_is_for_pages(self, write_job: WriteJob) -> None:
        shown = command("explain", write_job(), "-f", "mermaid")
        assert shown.exit_code == 0
        assert shown.stdout.startswith("flowchart LR\n")

    def test_settings_of_the_command_line_show_where_they_came_from(self, write_job: WriteJob) -> None:
        """Also in the spelling of the metadata tables: `checkpoint.interval`."""
        shown = command(
            "explain", write_job(), "--set", "parallelism=3", "--set", "checkpoint.interval = 10s"
        )
        rows = [line.split() for line in shown.stdout.splitlines()]
        assert ["parallelism", "3", "command", "line"] in rows
        assert ["checkpoint_interval", "10", "s", "command", "line"] in rows

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--format", "jsn"], "unknown format 'jsn' — did you mean 'json'?"),
            (["--set", "parallelism"], "--set expects NAME=VALUE, found 'parallelism'"),
            (["--set", "parallelism=many"], "parallelism: cannot read 'many': expected a whole number"),
            (["--set", "paralelism=2"], "unknown setting 'paralelism' — did you mean 'parallelism'?"),
        ],
    )
    def test_bad_input_is_refused_in_one_line(
        self, write_job: WriteJob, arguments: list[str], message: str
    ) -> None:
        """On stderr, so that a pipe gets nothing; 2 is refused, as for the shell's own commands."""
        shown = command("explain", write_job(), *arguments)
        assert (shown.exit_code, shown.stdout, shown.stderr) == (2, "", f"error: {message}\n")

    def test_a_job_of_the_wrong_shape_is_refused(self, write_job: WriteJob) -> None:
        path = write_job("job = StreamJob('totals'); job.source(CollectionSource([1])).map(double)")
        shown = command("explain", path)
        assert shown.exit_code == 2
        assert shown.stderr.startswith("error: the stream behind map:double")

    def test_what_the_file_raises_is_not_swallowed(self, write_job: WriteJob) -> None:
        shown = command("explain", write_job("1 / 0"))
        assert (shown.exit_code, type(shown.exception)) == (1, ZeroDivisionError)


RESULT = JobResult(JobStatus.COMPLETED, 2_000, 1, timedelta(seconds=2), {"sum": {}}, "e1", checkpoints=3)


@pytest.fixture
def signals_kept() -> Iterator[None]:
    """`run` handles signals for the rest of the process."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals_kept")
class TestRun:
    @pytest.fixture
    def options(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """What `execute` was called with; what becomes of it stands under `outcome`."""
        given: dict[str, Any] = {"outcome": RESULT}

        def execute(job: StreamJob, **options: Any) -> JobResult:
            given.update(options, job=job.name)
            outcome = given["outcome"]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        monkeypatch.setattr(StreamJob, "execute", execute)
        return given

    def test_a_completed_job_is_a_success(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        shown = command("run", write_job())
        assert (shown.exit_code, shown.stdout) == (0, "")
        assert "totals: COMPLETED in 2.0 s" in shown.stderr
        assert options["job"] == "totals"

    def test_each_switch_reaches_the_job(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        names = (
            "fresh",
            "take_over",
            "restore_from",
            "accept_duplicates",
            "allow_unmatched",
            "assume_committed",
            "command_line",
        )
        command("run", write_job())
        assert [options[name] for name in names] == [False, False, None, False, False, None, {}]
        switches = ["--fresh", "--take-over", "--accept-duplicates", "--allow-unmatched-state"]
        switches.append("--assume-uncommitted")
        command(
            "run", write_job(), *switches, "--restore", 7, "--checkpoint-dir", "/data", "--set", "chains=x=y"
        )
        settings = {"chains": "x=y", "checkpoint_dir": "/data"}
        assert [options[name] for name in names] == [True, True, 7, True, True, False, settings]

    def test_json_is_the_only_thing_on_stdout(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        shown = command("run", write_job(), "--json", "--quiet")
        assert shown.stderr == ""
        assert json.loads(shown.stdout) == {
            "status": "COMPLETED",
            "execution_id": "e1",
            "processed_records": 2_000,
            "failed_records": 1,
            "late_records": 0,
            "duration_ms": 2_000,
            "checkpoints": 3,
            "restarts": 0,
            "restored_from": None,
            "checkpoint_path": None,
        }

    def test_a_stopped_job_exits_as_shells_expect(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        options["outcome"] = JobResult(JobStatus.CANCELLED, 1, 0, timedelta(), {}, "e1")
        shown = command("run", write_job())
        assert shown.exit_code == 130
        assert "run it again to start over" in shown.stderr

    @pytest.mark.parametrize(
        ("error", "code", "advice"),
        [
            (ConfigError("no way"), 2, ""),
            (JobAlreadyRunning("no way"), 2, ""),
            (SourceError("no way"), 1, "fault: environment; a later run may succeed\n"),
            (UserFunctionError("no way"), 1, "fault: user; the same run would fail again\n"),
            (Fenced("no way"), 1, ""),
        ],
    )
    def test_an_error_has_its_code_and_its_advice(
        self,
        write_job: WriteJob,
        options: dict[str, Any],
        error: PipelineError,
        code: int,
        advice: str,
    ) -> None:
        options["outcome"] = error
        shown = command("run", write_job(), "--quiet")
        assert (shown.exit_code, shown.stdout) == (code, "")
        assert shown.stderr == f"error: no way\n{advice}"

    def test_the_cause_is_shown_with_its_last_lines(
        self, write_job: WriteJob, options: dict[str, Any]
    ) -> None:
        error = UserFunctionError("double raised ValueError: bad 2")
        error.__cause__ = ValueError("bad 2")
        options["outcome"] = error
        shown = command("run", write_job(), "--quiet")
        assert shown.stderr.splitlines()[:2] == [
            "error: double raised ValueError: bad 2",
            "ValueError: bad 2",
        ]

    @pytest.mark.parametrize(
        ("error", "shown_too"),
        [
            (SourceError("the query is wrong", hint="correct it"), False),
            (ConfigError("cannot read 'abc'"), False),
            (SourceError("MySource raised KeyError: 'x'"), True),
            (InternalError("this cannot be", hint="please report it"), True),
        ],
    )
    def test_lines_of_code_are_shown_where_they_say_more_than_the_message(
        self, write_job: WriteJob, options: dict[str, Any], error: PipelineError, shown_too: bool
    ) -> None:
        """What a library said on the way to an error that names its remedy would only bury it."""
        error.__cause__ = ValueError("inner")
        options["outcome"] = error
        shown = command("run", write_job(), "--quiet")
        assert shown.stderr.startswith(f"error: {error}\n")
        assert ("ValueError: inner" in shown.stderr) is shown_too

    def test_bad_input_never_starts_anything(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        for arguments in ([f"{write_job()}:none"], [write_job(), "--set", "fresh"]):
            shown = command("run", *arguments)
            assert (shown.exit_code, shown.stdout) == (2, "")
            assert shown.stderr.startswith("error: ")
        assert "job" not in options

    def test_signals_stop_and_then_abort(
        self, write_job: WriteJob, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first asks for a last checkpoint, the second leaves at once; whichever of the two comes."""
        command("run", write_job(), "--quiet")
        control, asked = options["control"], list[str]()
        monkeypatch.setattr(control, "stop", lambda: asked.append("stop"))
        monkeypatch.setattr(control, "abort", lambda: asked.append("abort"))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            signal.raise_signal(number)
        assert asked == ["stop", "abort", "abort"]


def test_without_a_command_the_commands_are_listed() -> None:
    shown = command()
    assert "run" in shown.output
    assert "explain" in shown.output
