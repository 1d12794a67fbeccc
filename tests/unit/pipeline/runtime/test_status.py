"""StatusTracker: a job's state changes only as SPEC draws it, and its listener misses nothing."""

from __future__ import annotations

import pytest

from pipeline.core.errors import InternalError
from pipeline.core.job import TRANSITIONS, JobStatus
from pipeline.runtime.events import JobEvent, StatusChanged
from pipeline.runtime.status import StatusTracker


class Listening:
    """A tracker in a given state, and what its listener heard since."""

    def __init__(self, status: JobStatus = JobStatus.REGISTERED) -> None:
        self.events: list[JobEvent] = []
        self.tracker = StatusTracker(self.events.append)
        self.tracker.status = status

    @property
    def way(self) -> list[JobStatus]:
        assert all(isinstance(event, StatusChanged) for event in self.events)
        return [event.status for event in self.events if isinstance(event, StatusChanged)]


@pytest.mark.parametrize("after", JobStatus)
@pytest.mark.parametrize("before", JobStatus)
def test_only_what_may_follow_follows(before: JobStatus, after: JobStatus) -> None:
    """All 121 pairs: a change is made and told, or refused and nothing has happened."""
    job = Listening(before)
    if after in TRANSITIONS[before]:
        job.tracker.change(after)
        assert (job.tracker.status, job.way) == (after, [after])
    else:
        with pytest.raises(InternalError, match=f"a job cannot go from {before} to {after}"):
            job.tracker.change(after)
        assert (job.tracker.status, job.way) == (before, [])


def test_the_phases_of_initializing_are_told() -> None:
    job = Listening(JobStatus.SCHEDULED)
    for phase in ("INIT_SOURCE", "INIT_OPERATOR", "INIT_SINK", "RESTORE"):
        job.tracker.change(JobStatus.INITIALIZING, phase)
    job.tracker.change(JobStatus.RUNNING)
    assert job.events == [
        *(
            StatusChanged(JobStatus.INITIALIZING, phase)
            for phase in ("INIT_SOURCE", "INIT_OPERATOR", "INIT_SINK", "RESTORE")
        ),
        StatusChanged(JobStatus.RUNNING),
    ]


@pytest.mark.parametrize(
    ("before", "way"),
    [
        (JobStatus.SCHEDULED, [JobStatus.INITIALIZING, JobStatus.FAILED]),
        (JobStatus.INITIALIZING, [JobStatus.FAILED]),
        (JobStatus.RUNNING, [JobStatus.FAILED]),
        (JobStatus.CHECKPOINTING, [JobStatus.CHECKPOINT_FAILED, JobStatus.FAILED]),
        (JobStatus.CHECKPOINT_FAILED, [JobStatus.FAILED]),
    ],
)
def test_a_failure_ends_a_checkpoint_first(before: JobStatus, way: list[JobStatus]) -> None:
    """From wherever the job is, by steps that are allowed."""
    job = Listening(before)
    job.tracker.fail()
    assert job.way == way


@pytest.mark.parametrize(
    ("before", "way"),
    [
        (JobStatus.SCHEDULED, [JobStatus.INITIALIZING, JobStatus.RUNNING]),
        (JobStatus.INITIALIZING, [JobStatus.RUNNING]),
        (JobStatus.RUNNING, []),
        (JobStatus.CHECKPOINTING, [JobStatus.CHECKPOINT_FAILED, JobStatus.RUNNING]),
    ],
)
def test_a_cancel_ends_a_checkpoint_first(before: JobStatus, way: list[JobStatus]) -> None:
    job = Listening(before)
    job.tracker.cancel()
    assert job.way == [*way, JobStatus.CANCELLING, JobStatus.CANCELLED]


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.CANCELLED, JobStatus.DEAD])
def test_what_is_over_neither_fails_nor_is_cancelled(status: JobStatus) -> None:
    job = Listening(status)
    for change in (job.tracker.fail, job.tracker.cancel):
        with pytest.raises(InternalError):
            change()
    assert job.way == []


def test_a_listener_sees_the_new_state() -> None:
    """Who asks for progress from within the listener gets what it was notified of."""
    seen: list[JobStatus] = []
    tracker = StatusTracker(lambda _: seen.append(tracker.status))
    tracker.change(JobStatus.SCHEDULED)
    assert seen == [JobStatus.SCHEDULED]
