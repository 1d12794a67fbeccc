"""StopWatch: a stop is heard while nobody reads the mailbox, and nothing that came meanwhile is lost."""

from __future__ import annotations

import queue
import threading
from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.clock import SystemClock
from pipeline.runtime.control import JobControl, Mailbox
from pipeline.runtime.events import InputEnded, StopRequested
from pipeline.runtime.snapshot import Participant
from pipeline.runtime.stop_watch import StopWatch
from pipeline.testing import ManualClock

ENDED = InputEnded(Participant("Source", 0))
NEVER_MS = 10**9


@pytest.mark.parametrize(("at_once", "patience_ms"), [(True, NEVER_MS), (False, 20)])
def test_a_stop_interrupts(at_once: bool, patience_ms: int) -> None:
    """One that is to be at once does so at once, another one when it has waited long enough."""
    control, interrupted = JobControl(), threading.Event()
    mailbox = Mailbox(control.queue)
    with StopWatch(mailbox, interrupted.set, patience_ms, SystemClock()) as watch:
        control.abort() if at_once else control.stop()
        assert interrupted.wait(10)
    assert watch.interrupted


def test_what_is_heard_is_there_afterwards() -> None:
    """A patient stop included; and the watch's thread has ended."""
    control, interrupted = JobControl(), threading.Event()
    mailbox = Mailbox(control.queue)
    with StopWatch(mailbox, interrupted.set, NEVER_MS, SystemClock()) as watch:
        mailbox.post(ENDED)
        control.stop()
    assert not watch.interrupted
    assert not interrupted.is_set()
    found: list[object] = []
    while len(found) < 2:
        event = mailbox.get(1)
        found += [] if event is None else [event]
    assert sorted(map(repr, found)) == sorted(map(repr, [ENDED, StopRequested(at_once=False)]))
    assert "stop-watch" not in [thread.name for thread in threading.enumerate()]


def test_without_a_stop_nothing_is_interrupted() -> None:
    interrupted = threading.Event()
    mailbox = Mailbox(queue.SimpleQueue())
    with StopWatch(mailbox, interrupted.set, 0, SystemClock()):
        mailbox.post(ENDED)
    assert not interrupted.is_set()


class Impatient(Mailbox):
    """Somebody asks again and again, each time after half of the patience."""

    def __init__(self, clock: ManualClock, requests: int) -> None:
        super().__init__(queue.SimpleQueue())
        self._clock = clock
        self.left = requests
        self.waits: list[float | None] = []

    def get(self, timeout: float | None) -> Any:
        self.waits.append(timeout)
        if self.left == 0:
            return super().get(timeout)
        self._clock.advance(timedelta(milliseconds=500))
        self.left -= 1
        return StopRequested(at_once=False)


def test_asking_again_does_not_buy_more_time() -> None:
    """The patience counts from the first stop, however often one asks."""
    clock, interrupted = ManualClock(), threading.Event()
    mailbox = Impatient(clock, requests=8)
    with StopWatch(mailbox, interrupted.set, 1_000, clock) as watch:
        assert interrupted.wait(10)
    assert watch.interrupted
    assert mailbox.waits == [None, 1.0, 0.5]
    assert mailbox.left == 5
