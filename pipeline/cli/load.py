"""Find the job in a user's Python file or module."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from pipeline.api.handle import JobPart
from pipeline.api.job import StreamJob
from pipeline.cli.imports import JobFileError, import_job_module
from pipeline.core.errors import ConfigError, PipelineError
from pipeline.core.functions import function_ref

_DEFAULT: Final = "job"
"""The name of the job that runs where none is named."""

_UNBUILT: Final = "end the chain with .build() and assign what it returns to a name"


def load_job(
    target: str, parameters: Sequence[str] = (), tell: Callable[[str], None] = lambda _: None
) -> StreamJob:
    """Import `FILE.py[:NAME]` or `MODULE[:NAME]` and return the job called NAME in it, or its only job.

    Instead of a job, NAME may be a function that is called without arguments and returns one.

    Args:
        target: which file or module, and which job in it.
        parameters: what the job finds in `sys.argv[1:]`.
        tell: called with a sentence about other jobs in the file, which are left alone.

    Raises:
        ConfigError: no such file or module, no such name, no job or several in it.
        JobFileError: the module or the function raised. A `PipelineError` comes through as it is.
    """
    place, name = _split(target)
    module = import_job_module(place, parameters)
    if name is not None:
        return _job_of(getattr(module, name, None), name, place)
    jobs = {key: value for key, value in vars(module).items() if isinstance(value, StreamJob)}
    if _DEFAULT in jobs:
        others = sorted(key for key, other in jobs.items() if other is not jobs[_DEFAULT])
        if others:
            tell(f"this is {_DEFAULT}; {place} also has {', '.join(others)} (pipeline run {place}:NAME)")
        return jobs[_DEFAULT]
    if not jobs:
        return _only_function(module, place)
    if len(set(jobs.values())) != 1:
        raise ConfigError(
            f"{place}: expected one job, found {', '.join(sorted(jobs))}",
            hint=f"name it: pipeline run {place}:NAME",
        )
    return next(iter(jobs.values()))


def _split(target: str) -> tuple[str, str | None]:
    place, colon, name = target.rpartition(":")
    if not colon or not name.isidentifier():
        return target, None
    return place, name


def _job_of(value: Any, name: str, place: str) -> StreamJob:
    if isinstance(value, StreamJob):
        return value
    if inspect.isroutine(value):
        return _made_by(value, name, place)
    found = "nothing" if value is None else f"a {type(value).__name__}"
    raise ConfigError(
        f"{place}: expected a StreamJob called {name!r}, found {found}",
        hint=_UNBUILT if isinstance(value, JobPart) else None,
    )


def _made_by(function: Callable[..., Any], name: str, place: str) -> StreamJob:
    """Call the function for its job."""
    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise ConfigError(
            f"{place}: {name} cannot be called without arguments: {error}",
            hint=f"read parameters from sys.argv: pipeline run {place}:{name} -- PARAMETERS",
        ) from None
    try:
        job = function()
    except PipelineError:
        raise
    except Exception as error:
        raise JobFileError(f"{function_ref(function)} raised {type(error).__name__}: {error}") from error
    if not isinstance(job, StreamJob):
        raise ConfigError(
            f"{place}: expected {name}() to return a StreamJob, found a {type(job).__name__}",
            hint=_UNBUILT if isinstance(job, JobPart) else "return the built job",
        )
    return job


def _only_function(module: ModuleType, place: str) -> StreamJob:
    """Return the job of the function called `job`, in a module that has built none."""
    function = getattr(module, _DEFAULT, None)
    if inspect.isroutine(function):
        return _made_by(function, _DEFAULT, place)
    unbuilt = any(isinstance(value, JobPart) for value in vars(module).values())
    raise ConfigError(
        f"{place}: expected one job, found none",
        hint=_UNBUILT
        if unbuilt
        else "assign the built job to a name, or return it from a function called job",
    )
