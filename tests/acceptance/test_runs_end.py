"""A run of the tests ends, whatever a test does: named, failed, and with nothing of it left running."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.orphans import members

from .waiting import wait_for

PROJECT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(400)
ENDS_S = 150
"""Seconds in which a run of a few tests ends on a machine that has other work."""

OTHER = "def test_other(): pass\n"
HANGS = """
import threading
def test_before(): pass
def test_bad():
    print("seed 7")
    threading.Event().wait()
def test_after(): pass
"""
HOLDS_THE_INTERPRETER = """
import ctypes
def test_bad():
    ctypes.PyDLL(None).sleep(1000)
"""
SEGFAULTS = """
import ctypes
def test_before(): pass
def test_bad():
    ctypes.string_at(0)
def test_after(): pass
"""
IS_KILLED = """
import os, signal
def test_bad():
    os.kill(os.getpid(), signal.SIGKILL)
"""
IS_KILLED_WITH_A_FORK = """
import os, signal
def test_bad():
    if os.fork() == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)
"""

LEAVES = """
import subprocess
def test_it():
    left = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    left.returncode = 0  # or it would warn
"""
STARTS = """
import os, pathlib, signal, subprocess, sys, tempfile
from connectors.sql.embedded import EmbeddedPostgres
folder = pathlib.Path(__file__).parent
def test_it():
    daemon = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
    stopped = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    stopped.send_signal(signal.SIGSTOP)
    with tempfile.TemporaryDirectory() as data, EmbeddedPostgres(pathlib.Path(data) / "data"):
        (folder / "run").write_text(os.environ["PYTEST_RUN_OF_PIPELINE"] + " " + data)
        signal.pause()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts pytest on files with this content, as the Makefile does."""
    started: list[subprocess.Popen[str]] = []

    def start(*files: str, processes: int = 2, limit: int = 4) -> subprocess.Popen[str]:
        for number, content in enumerate(files):
            (tmp_path / f"test_{number}.py").write_text(textwrap.dedent(content))
        plugins = ["-p", "tests.hanging", "-p", "tests.orphans"]
        settings = [
            "-c",
            str(PROJECT / "pyproject.toml"),
            f"--timeout={limit}",
            "--dist=loadfile",
            f"-n{processes}",
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *plugins, *settings, str(tmp_path)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that a test can interrupt all of it
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.parametrize("hangs", [HANGS, HOLDS_THE_INTERPRETER], ids=["waits", "holds the interpreter"])
def test_a_test_that_hangs_ends_the_run(
    hangs: str, processes: int, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """With its name, what it has printed and the stacks of its threads; it is not run again."""
    run = start(hangs, OTHER, processes=processes)
    out, _ = run.communicate(timeout=ENDS_S)
    assert run.returncode == 1, out
    assert "test_0.py" in out
    assert "in test_bad" in out
    if hangs == HANGS:
        assert out.count("test_0.py::test_bad was not done within 4 s") == 1
        assert "seed 7" in out
    if processes:
        assert out.count("crashed while running") == 2, f"once, and once in the summary: {out}"
        assert "FAILED" in out


@pytest.mark.parametrize(
    "dies",
    [SEGFAULTS, IS_KILLED, IS_KILLED_WITH_A_FORK],
    ids=["segfaults", "is killed", "has a child with its pipe"],
)
def test_a_worker_that_dies_ends_the_run(dies: str, start: Callable[..., subprocess.Popen[str]]) -> None:
    """With the name of the test that it was running; even if a child holds the worker's pipe open."""
    run = start(dies, OTHER)
    out, _ = run.communicate(timeout=ENDS_S)
    assert run.returncode == 1, out
    assert "crashed while running" in out
    assert out.count("FAILED") == 1
    assert "test_0.py::test_bad" in out
    assert "is gone" in out


def test_a_worker_that_dies_before_its_first_test_fails_the_run(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    """Though the other one could run all of them."""
    run = start("import os\nif os.environ.get('PYTEST_XDIST_WORKER') == 'gw1': os._exit(1)\n", OTHER)
    out, _ = run.communicate(timeout=ENDS_S)
    assert run.returncode == 1, out
    assert "gw1 is gone" in out


def test_a_run_that_leaves_a_process_fails(start: Callable[..., subprocess.Popen[str]]) -> None:
    """It is named and ended, a daemon too."""
    run = start(LEAVES, OTHER)
    out, _ = run.communicate(timeout=ENDS_S)
    assert run.returncode == 1, out
    assert "2 passed" in out
    assert "sleep 1000" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_an_interrupted_run(
    number: signal.Signals, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """No worker, and nothing a test has started: PostgreSQL, a suspended process, a folder."""
    run = start(STARTS, OTHER, limit=100)
    told = tmp_path / "run"
    wait_for(lambda: told.exists() and " " in told.read_text(), "the test", ENDS_S)
    name, folder = told.read_text().split()
    assert len(members(name)) > 4
    run.send_signal(number)
    run.communicate(timeout=ENDS_S)
    wait_for(lambda: members(name) == [] and not Path(folder).exists(), "the end of all", ENDS_S)
