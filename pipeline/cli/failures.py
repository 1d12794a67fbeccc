"""Report an error on stderr, with the lines of the user's own code in its traceback."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Final

from pipeline.cli.imports import JobFileError
from pipeline.core.errors import ConfigError, Fault, PipelineError, UserFunctionError
from pipeline.core.siblings import PACKAGES, hidden

_CARRIERS: Final = frozenset(
    {"pipeline", "connectors", "state", "checkpoint", "asyncio", "concurrent", "importlib", ""}
)
"""Packages that call the user's code; a generated chain has no name. Their lines say nothing about it."""


def report(error: PipelineError) -> None:
    """Print the error, and beneath it the lines of code that say more than it does.

    Those are the user's lines that led to a wrong argument, and the whole way through a function or a
    file of the user's that raised. What goes wrong outside, in a server or in data, has no such lines.
    """
    print(f"error: {error}", file=sys.stderr)
    print("".join(_lines(error)), end="", file=sys.stderr)
    for package, theirs in _clashes(error):
        print(
            f"hint: {package!r} is a package of pipeline-framework here, not {theirs}: rename yours",
            file=sys.stderr,
        )


def advise(error: PipelineError) -> None:
    """Print who can fix it, and whether the same run may succeed later."""
    advice = "a later run may succeed" if error.retryable else "the same run would fail again"
    print(f"fault: {error.fault.value}; {advice}", file=sys.stderr)


def _lines(error: PipelineError) -> list[str]:
    cause = error.__cause__
    if isinstance(error, ConfigError) and not isinstance(error, JobFileError):
        return _users_frames(error.__traceback__)
    if error.fault is Fault.ENGINE:
        return traceback.format_exception(cause) if cause else traceback.format_tb(error.__traceback__)
    if cause is None:
        return []
    if isinstance(error, UserFunctionError | JobFileError):
        return _from_the_users_code_on(cause)
    if f"raised {type(cause).__name__}" in error.message:  # by a connector, which did not translate it
        return _from_the_users_code_on(cause) or traceback.format_exception(cause)
    return []


def _clashes(error: BaseException | None) -> Iterator[tuple[str, Path]]:
    """Yield each of our packages in which a name was missing, and the module of the user that it hides."""
    while error is not None:
        package = _looked_in(error).partition(".")[0]
        theirs = hidden(package) if package in PACKAGES else None
        if theirs is not None:
            yield package, theirs
        error = error.__cause__


def _looked_in(error: BaseException) -> str:
    """Return the module in which an import or an attribute was not found."""
    if isinstance(error, ImportError):
        return error.name or ""
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return error.obj.__name__
    return ""


def _from_the_users_code_on(cause: BaseException) -> list[str]:
    entry = cause.__traceback__
    while entry is not None and _package(entry.tb_frame) in _CARRIERS:
        entry = entry.tb_next
    if entry is None and not isinstance(cause, SyntaxError):
        return []  # a builtin raised: the message says it all
    return traceback.format_exception(type(cause), cause, entry)


def _users_frames(entry: TracebackType | None) -> list[str]:
    frames = [(frame, line) for frame, line in traceback.walk_tb(entry) if _package(frame) not in _CARRIERS]
    return traceback.StackSummary.extract(iter(frames)).format()


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
