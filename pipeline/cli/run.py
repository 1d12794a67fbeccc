"""Run a job in this process for the command line: signals, progress, the closing summary."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, TextIO

from pipeline.api.job import StreamJob
from pipeline.cli.failures import advise, report
from pipeline.cli.load import load_job
from pipeline.cli.main import EXIT_FAILED, EXIT_REFUSED, EXIT_STOPPED, EXIT_UNREAD
from pipeline.cli.progress import ProgressReport
from pipeline.cli.settings import parse_settings
from pipeline.cli.signals import SignalThread
from pipeline.cli.streams import forgiving_stderr, print_last
from pipeline.core.durations import whole_ms
from pipeline.core.errors import ConfigError, Fenced, InternalError, JobAlreadyRunning, PipelineError
from pipeline.core.job import JobStatus
from pipeline.core.run_options import RunOptions
from pipeline.runtime.control import JobControl
from pipeline.runtime.result import JobResult

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGHUP comes when a terminal is closed, often with SIGTERM: it does not count as a second signal."""


@dataclass(frozen=True, slots=True)
class Output:
    """What `pipeline run` prints.

    Args:
        quiet: errors only.
        as_json: one line of JSON at the end.
    """

    quiet: bool = False
    as_json: bool = False


def run_command(
    target: str,
    parameters: Sequence[str],
    settings: Iterable[str],
    options: Callable[[], RunOptions],
    output: Output,
) -> int:
    """Run the job and return the exit code: 0 completed, 130 stopped, 1 failed, 2 refused, 141 unread.

    Args:
        target: `FILE.py[:JOB]` or `MODULE[:JOB]`.
        parameters: what the job finds in `sys.argv[1:]`.
        settings: what the command line sets, each as NAME=VALUE.
        options: makes what the run does about earlier ones.
        output: what it prints.
    """
    with forgiving_stderr():
        return _run_command(target, parameters, settings, options, output)


def _run_command(
    target: str,
    parameters: Sequence[str],
    settings: Iterable[str],
    options: Callable[[], RunOptions],
    output: Output,
) -> int:
    try:
        job = load_job(target, parameters, lambda text: _note(text, output))
        result = _run(job, parse_settings(settings), options(), output)
    except PipelineError as error:
        return _fail(error, output)
    except Exception as error:  # noqa: BLE001 - a reader of the JSON must get it, too
        return _fail(_defect(error), output)
    finally:
        _ignore_signals()
    if output.as_json:
        print_last(json.dumps(_as_json(result)))
    return 0 if result.status is JobStatus.COMPLETED else EXIT_STOPPED


def _note(text: str, output: Output) -> None:
    if not output.quiet:
        print(f"note: {text}", file=sys.stderr)


def _run(job: StreamJob, command_line: Mapping[str, str], options: RunOptions, output: Output) -> JobResult:
    control = JobControl()
    checkpoints = job.resolve(command_line).checkpoints
    progress = ProgressReport(job.name, control, checkpoints=checkpoints, quiet=output.quiet)
    signals = (*_STOPPING, signal.SIGUSR1)
    with SignalThread(_Answer(control, progress).to, signals, f"{job.name}/signals"), progress:
        result = job.execute(options, command_line=command_line, listeners=[progress.listen], control=control)
    progress.summarise(result)
    return result


class _Answer:
    """SIGUSR1 reports; another stops with a last checkpoint, a second SIGINT or SIGTERM at once."""

    def __init__(self, control: JobControl, progress: ProgressReport) -> None:
        self._control = control
        self._progress = progress
        self._seen = 0

    def to(self, number: int) -> None:
        if number == signal.SIGUSR1:
            self._progress.report_state()
            return
        if number != signal.SIGHUP:
            self._seen += 1
        with contextlib.suppress(OSError):  # the terminal may be gone
            self._progress.note_signal(signal.Signals(number).name, self._seen)
        if self._seen > 1:
            self._control.abort()
        else:
            self._control.stop()


def _ignore_signals() -> None:
    """What comes when the job has ended must not spoil its exit code.

    The interpreter takes handlers away while it shuts down, and then a signal would kill it; one that
    is ignored stays ignored.
    """
    for number in (*_STOPPING, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


# --- failures -----------------------------------------------------------------------------------------


def _fail(error: PipelineError, output: Output) -> int:
    """Say what went wrong and return the exit code."""
    if isinstance(error.__cause__, BrokenPipeError) and _is_unread(sys.stdout):
        return EXIT_UNREAD  # the reader has had enough, as in `pipeline run job.py | head`
    refused = isinstance(error, ConfigError | JobAlreadyRunning)
    report(error)
    if not refused and not isinstance(error, Fenced):
        advise(error)
    if output.as_json:
        status = "REFUSED" if refused else JobStatus.FAILED.value
        print_last(json.dumps({**_failure_as_json(error), "status": status}))
    return EXIT_REFUSED if refused else EXIT_FAILED


def _defect(error: Exception) -> InternalError:
    """Return the error for what none of ours was made of on its way."""
    defect = InternalError(f"{type(error).__name__}: {error}", hint="please report it, with these lines")
    defect.__cause__ = error
    return defect


def _is_unread(stream: TextIO) -> bool:
    """Whether what reads the stream has gone."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _failure_as_json(error: PipelineError) -> dict[str, Any]:
    return {**({} if error.result is None else _as_json(error.result)), **error.as_json()}


def _as_json(result: JobResult) -> dict[str, Any]:
    return {
        "status": result.status.value,
        "execution_id": result.execution_id,
        "processed_records": result.processed_records,
        "failed_records": result.failed_records,
        "dropped_records": result.dropped_records,
        "late_records": result.late_records,
        "event_time": result.event_time,
        "written_records": result.written_records,
        "written_by_sink": dict(result.written_by_sink),
        "failed_samples": [asdict(record) for record in result.failed_samples],
        "duration_ms": whole_ms(result.duration),
        "checkpoints": result.checkpoints,
        "restarts": result.restarts,
        "restored_from": result.restored_from,
        "checkpoint_path": result.checkpoint_path,
    }
