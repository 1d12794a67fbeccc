"""Listeners: each gets everything, and none can end the job."""

from __future__ import annotations

import logging

import pytest

from pipeline.core.job import JobStatus
from pipeline.runtime.events import JobEvent, StatusChanged
from pipeline.runtime.listeners import Listeners

EVENT = StatusChanged(JobStatus.RUNNING)


def test_one_that_raises_is_logged_and_the_others_are_told(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: JobEvent) -> None:
        raise ValueError("no terminal")

    told: list[JobEvent] = []
    with caplog.at_level(logging.ERROR):
        Listeners([told.append, broken, told.append])(EVENT)
    assert told == [EVENT, EVENT]
    (record,) = caplog.records
    assert record.getMessage() == "a listener failed on StatusChanged"
    assert record.exc_info is not None


def test_without_listeners_nothing_is_called() -> None:
    Listeners()(EVENT)


def test_what_is_meant_for_the_whole_process_passes() -> None:
    """Ctrl-C may come while a listener runs."""

    def interrupted(event: JobEvent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Listeners([interrupted])(EVENT)
