"""Run a job in this process for the command line: signals, progress, the closing summary."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

from pipeline.cli.load import load_job
from pipeline.cli.main import EXIT_FAILED, EXIT_REFUSED, EXIT_STOPPED
from pipeline.cli.progress import ProgressReport
from pipeline.core.errors import (
    ConfigError,
    Fault,
    Fenced,
    JobAlreadyRunning,
    PipelineError,
    UserFunctionError,
)
from pipeline.core.job import JobStatus
from pipeline.runtime.control import JobControl
from pipeline.runtime.result import JobResult


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The switches of `pipeline run`."""

    fresh: bool
    take_over: bool
    restore: int | None
    accept_duplicates: bool
    allow_unmatched: bool
    assume_committed: bool | None
    quiet: bool
    as_json: bool


def run_command(target: str, command_line: Mapping[str, str], options: RunOptions) -> int:
    """Run the job and return the exit code: 0 completed, 130 stopped, 1 failed, 2 refused."""
    try:
        job = load_job(target)
    except ConfigError as error:
        return _report(error, EXIT_REFUSED)
    control = JobControl()
    report = ProgressReport(job.name, control, quiet=options.quiet)
    _handle_signals(control, report)
    try:
        with report:
            result = job.execute(
                fresh=options.fresh,
                take_over=options.take_over,
                restore_from=options.restore,
                accept_duplicates=options.accept_duplicates,
                allow_unmatched=options.allow_unmatched,
                assume_committed=options.assume_committed,
                command_line=command_line,
                listener=report.listen,
                control=control,
            )
    except (ConfigError, JobAlreadyRunning) as error:
        return _report(error, EXIT_REFUSED)
    except PipelineError as error:
        code = _report(error, EXIT_FAILED)
        if not isinstance(error, Fenced):
            _advise(error)
        return code
    report.summarise(result)
    if options.as_json:
        print(json.dumps(_as_json(result)))
    return 0 if result.status is JobStatus.COMPLETED else EXIT_STOPPED


def _handle_signals(control: JobControl, report: ProgressReport) -> None:
    """The first SIGINT or SIGTERM stops with a last checkpoint, the second at once.

    The handlers stay: a signal that comes when the job has ended must not spoil its exit code.
    """
    seen = 0

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        report.note_signal(signal.Signals(number).name, seen)
        if seen == 1:
            control.stop()
        else:
            control.abort()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def _report(error: PipelineError, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    cause = error.__cause__
    if cause is not None and not isinstance(cause, PipelineError) and _lies_in_code(error):
        frames = traceback.format_exception(cause, limit=-3)
        print("".join(frames).rstrip(), file=sys.stderr)
    return code


def _lies_in_code(error: PipelineError) -> bool:
    """Whether the lines of code it passed through say more than the message does."""
    if isinstance(error, UserFunctionError) or error.fault is Fault.ENGINE:
        return True
    return error.hint is None and error.fault is not Fault.CONFIG


def _advise(error: PipelineError) -> None:
    advice = "a later run may succeed" if error.retryable else "the same run would fail again"
    print(f"fault: {error.fault.value}; {advice}", file=sys.stderr)


def _as_json(result: JobResult) -> dict[str, Any]:
    return {
        "status": result.status.value,
        "execution_id": result.execution_id,
        "processed_records": result.processed_records,
        "failed_records": result.failed_records,
        "late_records": result.late_records,
        "duration_ms": round(result.duration.total_seconds() * 1000),
        "checkpoints": result.checkpoints,
        "restarts": result.restarts,
        "restored_from": result.restored_from,
        "checkpoint_path": result.checkpoint_path,
    }
