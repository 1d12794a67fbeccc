"""How long a user waits before anything happens: the command's help, and the import of the package."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Case, Limit, OnStep, Subject

ROUNDS = 15


@contextmanager
def cases(_records: int | None, _on_step: OnStep) -> Generator[list[Case]]:
    """Give one case of fresh processes; there are no records in it."""
    command = str(Path(sys.executable).with_name("pipeline"))
    subjects = {
        "python alone": _process([sys.executable, "-c", "pass"]),
        "import pipeline": _process([sys.executable, "-c", "import pipeline"]),
        "pipeline --help": _process([command, "--help"]),
    }
    goals = [Limit("pipeline --help", 0.4), Limit("import pipeline", 0.2)]
    yield [Case("fresh processes", "s", subjects, goals, rounds=ROUNDS)]


def _process(command: Sequence[str]) -> Subject:
    def subject() -> float:
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started

    return subject
