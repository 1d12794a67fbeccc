"""The table of a job's states: what SPEC draws, no more and no less."""

from __future__ import annotations

from pipeline.core.job import TRANSITIONS, JobStatus

FINAL = {JobStatus.COMPLETED, JobStatus.CANCELLED, JobStatus.DEAD}


def reachable(start: JobStatus) -> set[JobStatus]:
    found, left = {start}, [start]
    while left:
        new = TRANSITIONS[left.pop()] - found
        found |= new
        left += new
    return found


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == reachable(JobStatus.REGISTERED) == set(JobStatus)


def test_only_the_final_states_have_no_way_out() -> None:
    assert {status for status, after in TRANSITIONS.items() if not after} == FINAL


def test_from_everywhere_else_an_end_can_be_reached() -> None:
    """No job hangs in a state for ever."""
    assert all(reachable(status) & FINAL for status in JobStatus)


def test_a_failure_is_never_skipped() -> None:
    """DEAD comes only from FAILED, and FAILED never leads straight back to RUNNING."""
    assert {status for status, after in TRANSITIONS.items() if JobStatus.DEAD in after} == {JobStatus.FAILED}
    assert TRANSITIONS[JobStatus.FAILED] == {JobStatus.SCHEDULED, JobStatus.DEAD}


def test_only_phases_repeat_a_state() -> None:
    """INITIALIZING goes through its phases; a listener is notified of every other state once."""
    assert [status for status, after in TRANSITIONS.items() if status in after] == [JobStatus.INITIALIZING]
