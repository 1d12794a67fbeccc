"""What a simulated run must keep, and the ways in which it ends before its time."""

from __future__ import annotations


class Violation(AssertionError):
    """The protocol broke a promise."""


class Crash(Exception):
    """The process is gone, whatever it was doing."""


class JobFailed(Exception):
    """The run failed in an orderly way: it closes what it opened and starts again."""


def promise(holds: bool, broken: str) -> None:
    if not holds:
        raise Violation(broken)
