"""Outbox: an end is one thing, also for a thread that looks at it while it is put in."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.reactive.hooks import Hooks, listening
from pipeline.reactive.outbox import Outbox
from tests.unit.pipeline.reactive.conftest import FullProbe

BROKEN = ValueError("broken")


class Watched(Outbox[Any]):
    """An outbox that another thread drains right after each of its marks is set."""

    _watched = False

    def watch(self) -> None:
        self._watched = True

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if self._watched and name in {"_ended", "_failure"}:
            self._drain()


def watched(requested: int) -> tuple[Watched, FullProbe]:
    """Return an outbox and its subscriber, which has requested that many records."""
    probe = FullProbe(requested)
    outbox = Watched(probe)
    outbox.begin()
    outbox.watch()
    return outbox, probe


@pytest.mark.parametrize("waiting", [0, 1])
def test_an_error_is_never_taken_for_a_completion(waiting: int) -> None:
    """The draining thread reads the end: what ended the stream must be set before."""
    outbox, probe = watched(waiting)
    for value in range(waiting):
        outbox.put(value)
    outbox.end(BROKEN)
    assert (probe.errors, probe.completed) == ([BROKEN], 0)


def test_nor_is_a_completion_held_up() -> None:
    outbox, probe = watched(1)
    outbox.put(1)
    outbox.end()
    assert (probe.values, probe.errors, probe.completed) == ([1], [], 1)


def test_an_abort_passes_on_nothing_that_waits() -> None:
    """It ends the stream at once, whatever waits."""
    outbox, probe = watched(0)
    outbox.put(1)
    discarded: list[Any] = []
    with listening(Hooks(discarded=discarded.append)):
        outbox.abort(BROKEN)
    assert (probe.values, probe.errors, discarded) == ([], [BROKEN], [1])


def test_what_waits_comes_before_the_end() -> None:
    outbox, probe = watched(0)
    outbox.put(1)
    outbox.put(2)
    outbox.end(BROKEN)
    assert probe.ends == 0
    probe.subscription.request(1)
    assert (probe.values, probe.ends) == ([1], 0)
    probe.subscription.request(1)
    assert (probe.values, probe.errors) == ([1, 2], [BROKEN])
