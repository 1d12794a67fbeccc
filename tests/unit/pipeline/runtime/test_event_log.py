"""Each event of a run is a line of standard logging, at the level that it deserves."""

from __future__ import annotations

import logging

import pytest

from pipeline.core.errors import SinkError
from pipeline.core.job import JobStatus
from pipeline.runtime.event_log import LOGGER, EventLog
from pipeline.runtime.events import (
    CheckpointCompleted,
    CheckpointFailed,
    CleanUpFailed,
    JobEvent,
    JobStarted,
    Restarting,
    StatusChanged,
    StopFailed,
    StopForced,
    ThreadAbandoned,
)


@pytest.mark.parametrize(
    ("event", "level", "line"),
    [
        (JobStarted("totals", "e1", 1, None, 0, 0), "INFO", "started, execution e1, attempt 1"),
        (
            JobStarted("totals", "e1", 3, 7, 500, 2),
            "INFO",
            "continues from checkpoint 7, execution e1, attempt 3, restart 2",
        ),
        (StatusChanged(JobStatus.INITIALIZING, "RESTORE"), "DEBUG", "INITIALIZING (RESTORE)"),
        (StatusChanged(JobStatus.COMPLETED), "INFO", "COMPLETED"),
        (StatusChanged(JobStatus.DEAD), "ERROR", "DEAD"),
        (
            CheckpointCompleted(7, "PERIODIC", 12, 345),
            "DEBUG",
            "checkpoint 7 (PERIODIC) completed in 12 ms, 345 bytes",
        ),
        (CheckpointFailed(8, "no room"), "WARNING", "checkpoint 8 failed: no room"),
        (CleanUpFailed(OSError("denied")), "WARNING", "old checkpoints could not be deleted: denied"),
        (Restarting(SinkError("gone"), 500), "WARNING", "failed and restarts in 500 ms: gone"),
        (
            StopFailed(SinkError("gone")),
            "WARNING",
            "failed while it was stopping, and does not restart: gone",
        ),
        (
            StopForced(30_000),
            "WARNING",
            "the stop is forced, no last checkpoint came within 30000 ms",
        ),
        (ThreadAbandoned("totals/map/0"), "WARNING", "thread totals/map/0 does not stop and is left behind"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_an_event_is_a_line(event: JobEvent, level: str, line: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger=LOGGER):
        EventLog("totals")(event)
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        (LOGGER, level, f"totals: {line}")
    ]


def test_without_a_handler_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    """Python prints warnings of a logger that has none at all."""
    EventLog("totals")(CheckpointFailed(8, "no room"))
    assert capfd.readouterr() == ("", "")
