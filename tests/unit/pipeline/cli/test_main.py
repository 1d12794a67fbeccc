"""The command's front: what is printed where, with which exit code; the engine is not started."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pipeline.api.job import StreamJob
from pipeline.cli.main import app
from pipeline.core.errors import (
    Fenced,
    InternalError,
    JobAlreadyRunning,
    PipelineError,
    SourceError,
    UserFunctionError,
)
from pipeline.core.job import JobStatus
from pipeline.core.records import FailedRecord
from pipeline.core.run_options import RunOptions
from pipeline.runtime.control import JobControl
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
        assert shown.stderr.startswith("error: the output of map:double")

    @pytest.mark.parametrize("run_or_explain", ["run", "explain"])
    def test_what_the_file_raises_is_shown_from_its_own_lines_on(
        self, write_job: WriteJob, run_or_explain: str
    ) -> None:
        """The user looks for a line of their own, and for none of ours."""
        path = write_job("def broken():\n    return 1 / 0\nbroken()")
        shown = command(run_or_explain, path)
        assert (shown.exit_code, shown.stdout) == (2, "")
        assert shown.stderr.startswith(f"error: {path} raised ZeroDivisionError: division by zero\n")
        assert files_shown(shown) == [str(path)] * 2

    def test_a_file_that_does_not_parse_is_shown_with_line_and_caret(self, write_job: WriteJob) -> None:
        shown = command("explain", write_job("job = = 5"))
        assert shown.exit_code == 2
        assert "    job = = 5\n          ^\nSyntaxError: invalid syntax\n" in shown.stderr
        assert "Traceback" not in shown.stderr

    def test_a_wrong_argument_is_shown_with_its_line(self, write_job: WriteJob) -> None:
        """And not with the lines of ours that looked at it."""
        path = write_job("make('totals')\nmake('a/b')")
        shown = command("explain", path)
        assert shown.stderr.startswith("error: 'a/b' cannot be a job's name")
        assert "    make('a/b')\n" in shown.stderr
        assert files_shown(shown) == [str(path)] * 2

    @pytest.mark.parametrize("theirs", ["pipeline", "connectors", "state", "checkpoint"])
    @pytest.mark.parametrize("code", ["from {} import mine", "import {}.mine", "import {0}; {0}.mine"])
    def test_a_module_of_the_users_that_ours_hides_is_named(
        self, write_job: WriteJob, tmp_path: Path, theirs: str, code: str
    ) -> None:
        """Ours are found first; for a job that needs theirs, the error explains why it is not found."""
        (tmp_path / theirs).mkdir()
        (tmp_path / theirs / "__init__.py").write_text("mine = 1", encoding="utf-8")
        shown = command("explain", write_job(code.format(theirs)))
        assert shown.exit_code == 2
        assert shown.stderr.splitlines()[-1] == (
            f"hint: {theirs!r} is a package of pipeline-framework here, not {tmp_path / theirs}: rename yours"
        )

    def test_a_name_that_nobody_has_is_not_blamed_on_a_clash(self, write_job: WriteJob) -> None:
        assert "hint" not in command("explain", write_job("from connectors import mine")).stderr


def files_shown(shown: Result) -> list[str]:
    """The file of each line of code on stderr."""
    return [line.split('"')[1] for line in shown.stderr.splitlines() if line.startswith("  File ")]


RESULT = JobResult(
    JobStatus.COMPLETED,
    2_000,
    1,
    timedelta(seconds=2),
    {"sum": {}},
    "e1",
    checkpoints=3,
    written_records=1_999,
    written_by_sink={"file:out": 1_999},
    failed_samples=(FailedRecord("'x'", "ValueError: bad", "map:f", "f (job.py:1)"),),
)


@pytest.fixture(autouse=True)
def signals_kept() -> Iterator[None]:
    """`run` handles signals for the rest of the process."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    # Tests that are run in the background have inherited ignored ones.
    kept = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


class TestRun:
    @pytest.fixture
    def options(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """What `execute` was called with; its result is under `outcome`."""
        given: dict[str, Any] = {"outcome": RESULT}

        def execute(job: StreamJob, options: RunOptions, **others: Any) -> JobResult:
            given.update(others, options=options, job=job.name)
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
        command("run", write_job())
        assert (options["options"], options["command_line"]) == (RunOptions(), {})
        command("run", write_job(), "--fresh")
        assert options["options"] == RunOptions(fresh=True)
        switches = ["--take-over", "--accept-duplicates", "--allow-unmatched-state", "--assume-uncommitted"]
        command(
            "run",
            write_job(),
            *switches,
            "--restore",
            7,
            "--checkpoint-dir",
            "/a",
            "--set",
            "parallelism=2",
        )
        assert options["command_line"] == {"parallelism": "2", "checkpoint_dir": "/a"}
        assert options["options"] == RunOptions(
            take_over=True,
            restore_from=7,
            accept_duplicates=True,
            allow_unmatched=True,
            assume_committed=False,
        )

    def test_json_is_the_only_thing_on_stdout(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        shown = command("run", write_job(), "--json", "--quiet")
        assert shown.stderr == ""
        assert json.loads(shown.stdout) == {
            "status": "COMPLETED",
            "execution_id": "e1",
            "processed_records": 2_000,
            "failed_records": 1,
            "dropped_records": 0,
            "late_records": 0,
            "event_time": None,
            "duration_ms": 2_000,
            "checkpoints": 3,
            "restarts": 0,
            "restored_from": None,
            "checkpoint_path": None,
            "written_records": 1_999,
            "written_by_sink": {"file:out": 1_999},
            "failed_samples": [
                {
                    "value": "'x'",
                    "error": "ValueError: bad",
                    "operator": "map:f",
                    "function": "f (job.py:1)",
                    "position": None,
                }
            ],
        }

    def test_what_follows_two_dashes_is_the_jobs(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        """Even where the command has an option of that name."""
        path = write_job("import sys; job = make('-'.join(sys.argv[1:]).replace('-', 'x'))")
        command("run", path, "--fresh", "--", "day", "--restore", 3)
        assert (options["job"], options["options"]) == ("dayxxxrestorex3", RunOptions(fresh=True))

    def test_the_jobs_help_is_a_success(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        path = write_job("import argparse; argparse.ArgumentParser().parse_args()")
        shown = command("run", path, "--", "--help")
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert shown.stdout.startswith("usage: totals.py")

    def test_other_jobs_of_the_file_are_mentioned(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        path = write_job("job = make('totals'); other = make('other')")
        note = f"note: this is job; {path} also has other (pipeline run {path}:NAME)\n"
        assert command("run", path).stderr.startswith(note)
        assert command("run", path, "--quiet").stderr == ""
        assert command("explain", path).stderr == note

    def test_a_stopped_job_exits_as_shells_expect(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        options["outcome"] = JobResult(JobStatus.CANCELLED, 1, 0, timedelta(), {}, "e1")
        shown = command("run", write_job())
        assert shown.exit_code == 130
        assert "run it again to start over" in shown.stderr

    @pytest.mark.parametrize(
        ("error", "code", "advice"),
        [
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

    def test_a_function_that_raised_is_shown_from_its_first_line_on(
        self, write_job: WriteJob, options: dict[str, Any]
    ) -> None:
        """What carried the record to it says nothing about it."""

        def double(value: int) -> int:
            raise ValueError("bad 2")

        calls_it: dict[str, Any] = {"__name__": "pipeline.compiler", "double": double}
        exec("def chain():\n    double(2)", calls_it)
        error = UserFunctionError("double raised ValueError: bad 2")
        error.__cause__ = raised_by(calls_it["chain"])
        options["outcome"] = error
        said = command("run", write_job(), "--quiet").stderr.splitlines()
        assert said[:2] == ["error: double raised ValueError: bad 2", "Traceback (most recent call last):"]
        assert said[2].endswith("in double")
        assert said[-2:] == ["ValueError: bad 2", "fault: user; the same run would fail again"]

    @pytest.mark.parametrize(
        ("error", "shown_too"),
        [
            (SourceError("the query is wrong", hint="correct it"), False),
            (SourceError("cannot print: the disk is full"), False),
            (UserFunctionError("int raised ValueError: inner"), False),
            (SourceError("MySource raised ValueError: inner"), True),
            (InternalError("this cannot be", hint="please report it"), True),
        ],
    )
    def test_lines_of_code_are_shown_where_they_say_more_than_the_message(
        self, write_job: WriteJob, options: dict[str, Any], error: PipelineError, shown_too: bool
    ) -> None:
        """What a library said on the way to an error that says it too would only bury it."""
        error.__cause__ = ValueError("inner")
        options["outcome"] = error
        shown = command("run", write_job(), "--quiet")
        assert shown.stderr.startswith(f"error: {error}\n")
        assert ("\nValueError: inner" in shown.stderr) is shown_too

    def test_a_defect_of_ours_is_shown_with_all_its_lines(
        self, write_job: WriteJob, options: dict[str, Any]
    ) -> None:
        """Who is asked to report it needs them, also where nothing else has caused it."""
        options["outcome"] = InternalError("this cannot be")
        shown = command("run", write_job(), "--quiet")
        assert "cli/run.py" in "".join(files_shown(shown))

    def test_what_is_not_an_error_of_ours_is_a_defect(
        self, write_job: WriteJob, options: dict[str, Any]
    ) -> None:
        options["outcome"] = AttributeError("no kind")
        shown = command("run", write_job(), "--quiet", "--json")
        assert shown.exit_code == 1
        assert shown.stderr.startswith(
            "error: AttributeError: no kind — please report it, with these lines\n"
        )
        assert json.loads(shown.stdout)["fault"] == "engine"

    def test_json_tells_of_a_failure(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        """How far it came, whose fault it is, and whether it is worth trying again."""
        error = SourceError("cut off", hint="try later")
        error.result = replace(RESULT, status=JobStatus.FAILED)
        options["outcome"] = error
        shown = command("run", write_job(), "--json", "--quiet")
        assert shown.exit_code == 1
        told = json.loads(shown.stdout)
        assert (told["status"], told["processed_records"], told["execution_id"]) == ("FAILED", 2_000, "e1")
        assert (told["error"], told["fault"], told["retryable"]) == (
            "cut off — try later",
            "environment",
            True,
        )

    def test_json_tells_of_a_refusal(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        """A second run, a wrong setting, a file that raises: nothing ran, so there is no result."""
        refused = {"fault": "config", "retryable": False, "status": "REFUSED"}
        options["outcome"] = JobAlreadyRunning("totals is running")
        shown = command("run", write_job(), "--json")
        assert json.loads(shown.stdout) == {"error": "totals is running", **refused}
        for arguments in ([write_job(), "--set", "paralelism=2"], [write_job(), "--set", "x"]):
            shown = command("run", *arguments, "--json")
            assert shown.exit_code == 2
            assert json.loads(shown.stdout) == {**json.loads(shown.stdout), **refused}
        shown = command("run", write_job("1 / 0"), "--json")
        assert "ZeroDivisionError" in json.loads(shown.stdout)["error"]

    def test_bad_input_never_starts_anything(self, write_job: WriteJob, options: dict[str, Any]) -> None:
        for arguments in ([f"{write_job()}:none"], [write_job(), "--set", "fresh"]):
            shown = command("run", *arguments)
            assert (shown.exit_code, shown.stdout) == (2, "")
            assert shown.stderr.startswith("error: ")
        assert "job" not in options

    def test_signals_stop_and_then_abort(
        self, write_job: WriteJob, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first asks for a last checkpoint, the second leaves at once; whichever of the two comes.

        Once the job has ended none of them does anything: the exit code is that of the job.
        """
        asked = list[str]()
        monkeypatch.setattr(JobControl, "stop", lambda _: asked.append("stop"))
        monkeypatch.setattr(JobControl, "abort", lambda _: asked.append("abort"))

        def execute(job: StreamJob, options: RunOptions, **others: Any) -> JobResult:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
                signal.raise_signal(number)
            return RESULT

        monkeypatch.setattr(StreamJob, "execute", execute)
        command("run", write_job(), "--quiet")
        assert asked == ["stop", "abort", "abort"]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        assert asked == ["stop", "abort", "abort"]

    def test_a_closed_terminal_stops_and_does_not_count_as_a_second_signal(
        self, write_job: WriteJob, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = list[str]()
        monkeypatch.setattr(JobControl, "stop", lambda _: asked.append("stop"))
        monkeypatch.setattr(JobControl, "abort", lambda _: asked.append("abort"))

        def execute(job: StreamJob, options: RunOptions, **others: Any) -> JobResult:
            for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM):
                signal.raise_signal(number)
            return RESULT

        monkeypatch.setattr(StreamJob, "execute", execute)
        command("run", write_job(), "--quiet")
        assert asked == ["stop", "stop", "stop", "abort"]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
    def test_a_signal_that_the_shell_ignored_stays_ignored(
        self,
        number: signal.Signals,
        write_job: WriteJob,
        options: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Under nohup, or of a job in the background of a script."""
        asked = list[str]()
        monkeypatch.setattr(JobControl, "stop", lambda _: asked.append("stop"))
        signal.signal(number, signal.SIG_IGN)

        def execute(job: StreamJob, options: RunOptions, **others: Any) -> JobResult:
            signal.raise_signal(number)
            return RESULT

        monkeypatch.setattr(StreamJob, "execute", execute)
        command("run", write_job(), "--quiet")
        assert asked == []


@pytest.mark.parametrize(
    ("stdout", "stderr"), [("", "/dev/full"), ("/dev/full", ""), ("/dev/full", "/dev/full")]
)
def test_a_device_that_is_full_decides_nothing(
    stdout: str, stderr: str, write_job: WriteJob, tmp_path: Path
) -> None:
    """The job runs, its exit code is its own, and what can be written is."""
    streams = [open(path or tmp_path / name, "wb") for name, path in (("out", stdout), ("err", stderr))]  # noqa: SIM115
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pipeline", "run", "--json", write_job()],
            cwd=tmp_path,
            stdout=streams[0],
            stderr=streams[1],
            check=False,
        )
    finally:
        for stream in streams:
            stream.close()
    assert done.returncode == 0
    if not stdout:
        assert json.loads((tmp_path / "out").read_text())["status"] == "COMPLETED"
    elif not stderr:
        assert "the result could not be written to stdout" in (tmp_path / "err").read_text()


def raised_by(function: Callable[[], object]) -> Exception:
    """Return what the function raises, with the lines from the function on."""
    try:
        function()
    except Exception as error:
        return error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
    raise AssertionError("it raised nothing")


def test_help_cuts_no_option_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    shown = command("run", "--help").stdout
    options = ["--accept-duplicates", "--allow-unmatched-state", "--assume-uncommitted", "--checkpoint-dir"]
    assert [option for option in options if option not in shown] == []


def test_the_version_is_the_distributions() -> None:
    shown = command("--version")
    assert (shown.exit_code, shown.stdout) == (0, f"pipeline-framework {version('pipeline-framework')}\n")


def test_the_command_is_a_module_too() -> None:
    """`python -m pipeline`, where the environment is not on the PATH."""
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == command("--version").stdout


def test_without_a_command_the_commands_are_listed() -> None:
    shown = command()
    assert "run" in shown.output
    assert "explain" in shown.output
