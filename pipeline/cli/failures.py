"""Say on stderr what went wrong, with the lines of the user's own code that it came through."""

from __future__ import annotations

import sys
import traceback
from types import FrameType, TracebackType
from typing import Final

from pipeline.cli.load import JobFileError
from pipeline.core.errors import ConfigError, Fault, PipelineError, UserFunctionError

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


def advise(error: PipelineError) -> None:
    """Print who can mend it, and whether the same run may succeed later."""
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
