"""The real command in a folder of its own, killed and started again."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .kafka_scene import scene

__all__ = ["Workshop", "scene", "workshop"]

JOBS = Path(__file__).parent / "jobs"
COMMAND = Path(sys.executable).with_name("pipeline")


@dataclass
class Workshop:
    """A folder to run a job in, and the ways to run it.

    Args:
        folder: where the command runs; what the job writes goes to `out`.
        job: name of the file in `jobs`, without its suffix; after a colon the job's name in it.
        program: what is run; the command unless a test plants a bug in it.
        environment: added to the process's own.
    """

    folder: Path
    job: str
    environment: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (str(COMMAND),)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def reached(self) -> list[str]:
        """The crash points at which a run has died so far."""
        log = self.folder / "reached"
        return log.read_text().split() if log.exists() else []

    def command(self, *options: str) -> list[str]:
        """The command line that runs the job."""
        file, colon, name = self.job.partition(":")
        return [*self.program, "run", f"{JOBS / file}.py{colon}{name}", *options]

    def variables(self, **environment: str) -> dict[str, str]:
        """The environment of a run."""
        log = {"PIPELINE_FAULTPOINT_LOG": str(self.folder / "reached")}
        return {**os.environ, **log, **self.environment, **environment}

    def start(self, *options: str, **environment: str) -> subprocess.Popen[str]:
        """Start the command and continue; it is killed at the end of the test if it still runs."""
        process = subprocess.Popen(
            self.command(*options),
            cwd=self.folder,
            env=self.variables(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end, whatever that is."""
        process = self.start(*options, **environment)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def complete(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command, which must complete."""
        done = self.run(*options, **environment)
        assert done.returncode == 0, done.stderr
        return done

    def die_at(self, point: str) -> None:
        """Run the command, which must die at the crash point and nowhere else."""
        before = len(self.reached)
        done = self.run(PIPELINE_FAULTPOINT=point)
        names = [item.partition(":")[0] for item in point.split(",")]
        assert done.returncode == -signal.SIGKILL, f"{point} was never reached: {done.stderr}"
        assert len(self.reached) == before + 1
        assert self.reached[-1] in names

    def stand_still_at(self, point: str, *options: str, **environment: str) -> subprocess.Popen[str]:
        """Start the command and wait until it has stopped itself at the crash point, until SIGCONT."""
        arming = {"PIPELINE_FAULTPOINT": point, "PIPELINE_FAULTPOINT_SIGNAL": "STOP"}
        process = self.start(*options, **arming, **environment)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            process.returncode = os.waitstatus_to_exitcode(status)
            pytest.fail(f"{point} was never reached: {process.communicate()[1]}")
        return process

    def outputs(self) -> dict[str, bytes]:
        """What the job has made visible: whole files by name, part files joined under the name of all."""
        found: dict[str, bytes] = {}
        folder = self.folder / "out"
        if not folder.exists():
            return found
        for path in sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name)):
            if path.name.startswith("."):
                continue
            name = f"{path.stem.split('-')[0]}{path.suffix}"
            found[name] = found.get(name, b"") + path.read_bytes()
        return found

    def leftovers(self) -> list[str]:
        """Hidden files that a finished job must not leave."""
        return [path.name for path in (self.folder / "out").iterdir() if path.name.startswith(".")]

    def stop_all(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.send_signal(signal.SIGCONT)
            process.communicate()


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Callable[..., Workshop]]:
    """Makes workshops below the test's folder, for scenes side by side too."""
    made: list[Workshop] = []
    numbers = itertools.count()

    def make(job: str, **environment: str) -> Workshop:
        folder = tmp_path / f"{job.replace(':', '-')}-{next(numbers)}"
        folder.mkdir()
        shop = Workshop(folder, job, environment)
        made.append(shop)
        return shop

    yield make
    for one in made:
        one.stop_all()
