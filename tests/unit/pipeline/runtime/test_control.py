"""Mailbox and JobControl: events reach the attempt they concern, and a stop whichever runs."""

from __future__ import annotations

import queue

from pipeline.core.job import JobStatus
from pipeline.runtime.control import JobControl, Letter, Mailbox
from pipeline.runtime.events import InputEnded, StopRequested
from pipeline.runtime.result import Progress
from pipeline.runtime.snapshot import Participant

ENDED = InputEnded(Participant("Source", 0))
AT_ONCE = 0.0


def test_events_come_in_their_order() -> None:
    mailbox = Mailbox(queue.SimpleQueue())
    events = [InputEnded(Participant("Source", subtask)) for subtask in range(3)]
    for event in events:
        mailbox.post(event)
    assert [mailbox.get(AT_ONCE) for _ in range(4)] == [*events, None]


def test_a_late_event_of_an_earlier_attempt_is_not_for_the_next() -> None:
    """A thread that was left behind may still report its failure; that must not fail its successor."""
    letters: queue.SimpleQueue[Letter] = queue.SimpleQueue()
    earlier, later = Mailbox(letters), Mailbox(letters)
    earlier.post(ENDED)
    later.post(ENDED)
    assert [later.get(AT_ONCE) for _ in range(3)] == [None, ENDED, None]


def test_a_stop_reaches_whichever_attempt_runs() -> None:
    """Also one that was asked for before the job had started: nobody waits for an ear."""
    control = JobControl()
    control.stop()
    control.abort()
    mailbox = Mailbox(control.queue)
    assert mailbox.get(AT_ONCE) == StopRequested(at_once=False)
    assert Mailbox(control.queue).get(AT_ONCE) == StopRequested(at_once=True)


def test_progress_can_be_asked_for_at_any_time() -> None:
    """Before the job is there it is merely scheduled."""
    control = JobControl()
    assert control.progress() == Progress(JobStatus.SCHEDULED)
    control.watch(lambda: Progress(JobStatus.RUNNING, processed=7))
    assert control.progress() == Progress(JobStatus.RUNNING, processed=7)
