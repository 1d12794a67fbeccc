"""Find the job in a user's Python file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from pipeline.core.errors import ConfigError, PipelineError

if TYPE_CHECKING:
    from pipeline.api.job import StreamJob


_UNBUILT: Final = "end the chain with .build() and assign what it returns to a name"


class JobFileError(ConfigError):
    """The file that builds the job raised; what it raised is the `__cause__`."""


def load_job(target: str) -> StreamJob:
    """Load `FILE.py[:NAME]` and return the job called NAME in it, or its only job.

    The file's folder is appended to `sys.path`, never put in front: a user's own `state/` folder
    must not hide ours.

    Raises:
        ConfigError: no such file, no such name, no job or several in it.
        JobFileError: the file does not parse, raised, or ended the process. A `PipelineError` that it
            raises comes through as it is.
    """
    from pipeline.api.handle import JobPart
    from pipeline.api.job import StreamJob

    path, name = _split(target)
    module = _execute(path)
    if name is not None:
        job = getattr(module, name, None)
        if not isinstance(job, StreamJob):
            found = "nothing" if job is None else f"a {type(job).__name__}"
            raise ConfigError(
                f"{path}: expected a StreamJob called {name!r}, found {found}",
                hint=_UNBUILT if isinstance(job, JobPart) else None,
            )
        return job
    jobs = {key: value for key, value in vars(module).items() if isinstance(value, StreamJob)}
    if "job" in jobs:
        return jobs["job"]
    if not jobs:
        unbuilt = any(isinstance(value, JobPart) for value in vars(module).values())
        raise ConfigError(
            f"{path}: expected one job, found none",
            hint=_UNBUILT if unbuilt else "assign the built job to a name",
        )
    if len(set(jobs.values())) != 1:
        raise ConfigError(
            f"{path}: expected one job, found {', '.join(sorted(jobs))}",
            hint=f"name it: pipeline run {path}:NAME",
        )
    return next(iter(jobs.values()))


def _split(target: str) -> tuple[Path, str | None]:
    path, colon, name = target.rpartition(":")
    if not colon or not name.isidentifier():
        path, name = target, ""
    file = Path(path)
    if not file.is_file():
        raise ConfigError(f"there is no file {path}", hint="expected: pipeline run FILE.py[:job]")
    return file, name or None


def _execute(path: Path) -> ModuleType:
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    spec = importlib.util.spec_from_file_location(f"pipeline_job_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except PipelineError:
        raise
    except SystemExit as end:
        raise JobFileError(
            f"{path} ended the process: sys.exit({end.code!r})",
            hint='what runs the job belongs under if __name__ == "__main__"',
        ) from end
    except Exception as error:
        raise JobFileError(f"{path} raised {type(error).__name__}: {error}") from error
    return module
