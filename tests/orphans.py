"""Nothing that a run of the tests starts outlives it, however it ends; a run that leaves something fails.

Every process below a run has its id in the environment, daemons too. A keeper beside the run waits for the
end of a pipe that only the run holds open, which comes even after SIGKILL, and ends what has the id then.
Temporary files are below a folder of the run, which the keeper removes; pytest's own folders stay.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

RUN = "PYTEST_RUN_OF_PIPELINE"
"""The variable with the run's id."""

_LEAVING_S = 3  # that processes have which are about to leave by themselves
_ENDING_S = 5  # that they have for cleaning up, once they are asked to end

_keeper = pytest.StashKey["subprocess.Popen[str]"]()
_left = pytest.StashKey[list[str]]()


def members(run: str) -> list[psutil.Process]:
    """Return the processes of a run, and their children: PostgreSQL's overwrite their environment."""
    found: set[psutil.Process] = set()
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or is somebody else's
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(RUN) == run:
                found |= {process, *process.children(recursive=True)}
    return list(found)


def end(run: str) -> list[str]:
    """End what is left of a run, and return what that was."""
    psutil.wait_procs(members(run), _LEAVING_S)
    left = [_describe(process) for process in members(run)]
    for number in (signal.SIGINT, signal.SIGKILL, signal.SIGKILL):
        processes = members(run)
        for process in processes:
            with suppress(psutil.Error):
                process.send_signal(number)
        psutil.wait_procs(processes, _ENDING_S)
    return left


def _describe(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[:200]}"
    return str(process.pid)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # a worker, and what it starts, belongs to the run that started it
    run = uuid.uuid4().hex
    folder = Path(tempfile.mkdtemp(prefix="pipeline-tests-"))
    folder.chmod(0o755)  # started by root, PostgreSQL is another user
    config.stash[_keeper] = subprocess.Popen(
        [sys.executable, __file__, run, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is not meant for it
    )
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    os.environ |= {RUN: run, "TMPDIR": str(folder)}
    tempfile.tempdir = None  # what the module found out before


@pytest.hookimpl(trylast=True)  # when the workers have ended
def pytest_sessionfinish(session: pytest.Session) -> None:
    keeper = session.config.stash.get(_keeper, None)
    if keeper is None:
        return
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    print("end", file=keeper.stdin, flush=True)
    left = [line.rstrip() for line in iter(keeper.stdout.readline, "\n")]
    session.config.stash[_left] = left
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for process in config.stash.get(_left, []):
        terminalreporter.write_line(f"left behind, and ended: {process}", red=True)


if __name__ == "__main__":
    sys.stdin.readline()
    answer = "".join(f"{process}\n" for process in end(sys.argv[1]))
    with suppress(BrokenPipeError):  # the run may be gone
        print(answer, flush=True)
    sys.stdin.read()  # until it is: PostgreSQL's package takes a lock in there when its process ends
    shutil.rmtree(sys.argv[2], ignore_errors=True)
