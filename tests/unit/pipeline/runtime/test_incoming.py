"""Incoming: events in their order, none lost in a pause, and stops that do not wait for ever."""

from __future__ import annotations

import threading
from collections import deque
from datetime import timedelta
from typing import Any, cast

import pytest

from pipeline.core.errors import SinkError
from pipeline.runtime.control import JobControl, Mailbox
from pipeline.runtime.events import InputEnded, JobEvent, StopForced, StopRequested, TaskEvent
from pipeline.runtime.incoming import Aborted, Incoming
from pipeline.runtime.snapshot import Participant
from pipeline.testing.clock import ManualClock

PATIENCE_MS = 30_000
FIRST, SECOND = (InputEnded(Participant("Source", subtask)) for subtask in (0, 1))


class ScriptedMailbox:
    """Answers as told; each look that finds nothing takes all the time it may."""

    def __init__(self, clock: ManualClock, *events: TaskEvent | None) -> None:
        self._clock = clock
        self._events = deque(events)
        self.timeouts: list[float | None] = []

    def get(self, timeout: float | None) -> TaskEvent | None:
        self.timeouts.append(timeout)
        event = self._events.popleft() if self._events else None
        if event is None and timeout is not None:
            self._clock.advance(timedelta(seconds=timeout))
        return event


class Desk:
    """Incoming events over a scripted mailbox."""

    def __init__(self, *events: TaskEvent | None) -> None:
        self.clock = ManualClock()
        self.mailbox = ScriptedMailbox(self.clock, *events)
        self.told: list[JobEvent] = []
        self.incoming = Incoming(cast("Mailbox", self.mailbox), PATIENCE_MS, self.clock, self.told.append)


def test_an_event_is_waited_for_until_the_deadline() -> None:
    desk = Desk(None, FIRST)
    assert desk.incoming.next(2_000) is None
    assert desk.incoming.next(None) == FIRST
    assert desk.mailbox.timeouts == [2.0, None]


def test_what_comes_during_a_pause_is_kept_in_its_order() -> None:
    """A commit is tried again while records end, fail and arrive: all of that counts afterwards."""
    desk = Desk(FIRST, SECOND)
    desk.incoming.pause(500)
    assert desk.clock.monotonic_ms() == 500
    assert [desk.incoming.next(None), desk.incoming.next(None)] == [FIRST, SECOND]


def test_a_pause_ends_for_a_stop_at_once_only() -> None:
    """A patient stop comes after what is being done."""
    patient, at_once = StopRequested(at_once=False), StopRequested(at_once=True)
    desk = Desk(patient)
    desk.incoming.pause(100)
    assert desk.incoming.stop_requested, "also if the pause ends in a failure and nobody takes the event"
    assert desk.incoming.next(None) == patient
    with pytest.raises(Aborted):
        Desk(at_once).incoming.pause(100)


def test_a_stop_is_remembered_beyond_its_event() -> None:
    """If the attempt fails after it, no other follows."""
    desk = Desk(FIRST, StopRequested(at_once=False))
    desk.incoming.next(None)
    assert not desk.incoming.stop_requested
    desk.incoming.next(None)
    assert desk.incoming.stop_requested


def test_a_stop_that_takes_too_long_is_forced_and_said() -> None:
    """Deadlines that come before it are served first."""
    desk = Desk()
    desk.incoming.expect_stop()
    assert desk.incoming.next(10_000) is None
    with pytest.raises(Aborted):
        desk.incoming.next(None)
    assert desk.clock.monotonic_ms() == PATIENCE_MS
    assert desk.told == [StopForced(PATIENCE_MS)]


def test_an_event_comes_before_the_end_of_patience() -> None:
    desk = Desk(FIRST)
    desk.incoming.expect_stop()
    desk.clock.advance(timedelta(milliseconds=PATIENCE_MS))
    assert desk.incoming.next(None) == FIRST


class TestInterrupting:
    """While the job's thread waits inside a connector another one reads the mailbox."""

    @pytest.fixture
    def control(self) -> JobControl:
        return JobControl()

    @pytest.fixture
    def incoming(self, control: JobControl) -> Incoming:
        nobody: Any = list[JobEvent]().append
        return Incoming(Mailbox(control.queue), PATIENCE_MS, ManualClock(), nobody)

    @pytest.mark.parametrize("broken", [True, False])
    def test_an_interrupt_replaces_the_error_it_causes(
        self, control: JobControl, incoming: Incoming, broken: bool
    ) -> None:
        """And for none, where it comes too late to break anything."""
        interrupted = threading.Event()
        error = SinkError("connection closed")

        def open_sink() -> None:
            with incoming.interrupting(interrupted.set):
                control.abort()
                assert interrupted.wait(30)
                if broken:
                    raise error

        with pytest.raises(Aborted) as caught:
            open_sink()
        assert caught.value.__cause__ is (error if broken else None)

    def test_an_error_of_its_own_is_raised_as_it_is(self, incoming: Incoming) -> None:
        with pytest.raises(SinkError, match="refused"), incoming.interrupting(lambda: None):
            raise SinkError("refused")

    def test_without_either_nothing_happens(self, incoming: Incoming) -> None:
        with incoming.interrupting(lambda: None):
            pass
