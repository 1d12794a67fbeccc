"""Where signals go that nobody can receive any more: one place to listen, for tests and for debugging.

A record that comes after the end, an error that comes second, a record that an operator throws away:
the protocol has no room for them, and none may vanish unseen.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_logger = logging.getLogger(__name__)


def _ignore(_: Any) -> None:
    """Nobody listens for this kind."""


@dataclass(frozen=True, eq=False)
class Hooks:
    """Who listens: each function is called in the thread in which it happens, and must not raise.

    Attributes:
        dropped: records that came after the end of their stream.
        dropped_error: errors that came after it, or that a callback raised where no stream can end.
        discarded: records that an operator had accepted and then discarded: on overflow, on a cancel.
    """

    dropped: Callable[[Any], object] = _ignore
    dropped_error: Callable[[Exception], object] = _ignore
    discarded: Callable[[Any], object] = _ignore


_listening: list[Hooks] = []


@contextmanager
def listening(hooks: Hooks) -> Generator[None]:
    """Call `hooks` until the end of the block, in every thread."""
    _listening.append(hooks)
    try:
        yield
    finally:
        _listening.remove(hooks)


def dropped(value: Any) -> None:
    """Report a record that came after the end of its stream."""
    _logger.debug("dropped after the end of the stream: %r", value)
    for hooks in _listening:
        hooks.dropped(value)


def dropped_error(error: Exception) -> None:
    """Report an error that no subscriber can receive any more."""
    if not _listening:
        _logger.error("dropped an error that came after the end of the stream", exc_info=error)
    for hooks in _listening:
        hooks.dropped_error(error)


def discarded(*values: Any) -> None:
    """Report records that an operator had accepted and will not emit."""
    for hooks in _listening:
        for value in values:
            hooks.discarded(value)
