"""Event time for people, and the hint at windows that wait: not too early, once, and with its cause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.cli.event_time import PATIENCE_S, WindowWatch, duration, event_time_parts, instant
from pipeline.core.job import JobStatus
from pipeline.runtime.result import EdgeProgress, EventTimeProgress, Progress

NOON = 1_357_041_600_000
HELD = EventTimeProgress("kafka:in", NOON, 1_000, held_by="in/2", behind_ms=60_000)
LOOK = Progress(JobStatus.RUNNING, processed=100, event_time=HELD, open_windows=3)
PASS = "with_idleness(…) of its watermarks lets event time pass a silent split"


def looked(*looks: Progress) -> list[str | None]:
    """Look at each as long after the one before as the watch is patient."""
    watch = WindowWatch()
    return [watch.look(look, 1_000 + PATIENCE_S * number) for number, look in enumerate(looks)]


@pytest.mark.parametrize(
    ("time", "cause"),
    [
        (HELD, f"for in/2, which is 1.0 min behind the other splits: {PASS}"),
        (replace(HELD, behind_ms=None), f"for in/2, which has emitted nothing: {PASS}"),
        (EventTimeProgress("kafka:in"), f"for kafka:in, which has emitted nothing: {PASS}"),
        (
            EventTimeProgress("kafka:in", NOON, 5),
            "for records of kafka:in: event time is 2013-01-01 12:00:00Z until new ones arrive",
        ),
    ],
)
def test_the_cause_is_named_once(time: EventTimeProgress, cause: str) -> None:
    look = replace(LOOK, event_time=time)
    assert looked(look, look, look, look) == [None, f"3 windows wait {cause}", None, None]


def test_another_cause_is_named_too() -> None:
    other = replace(LOOK, event_time=replace(HELD, held_by="in/0"), open_windows=1)
    first, second = [hint for hint in looked(LOOK, LOOK, other, other) if hint]
    assert first.startswith("3 windows wait for in/2")
    assert second.startswith("1 window waits for in/0")


@pytest.mark.parametrize(
    "second",
    [
        replace(LOOK, open_windows=0),
        replace(LOOK, event_time=None),
        replace(LOOK, event_time=replace(HELD, timestamp=NOON + 1)),
        replace(LOOK, edges=(EdgeProgress("Sink", 9, 9, active=True),)),
    ],
)
def test_nothing_is_said_where_nothing_waits(second: Progress) -> None:
    """No window is open, none goes by event time, event time moves, or the job itself is slow."""
    assert looked(LOOK, second) == [None, None]


def test_records_that_come_are_not_taken_for_none() -> None:
    """Event time may not advance for a while although its only split emits."""
    time = EventTimeProgress("kafka:in", NOON, 5)
    assert looked(replace(LOOK, event_time=time), replace(LOOK, event_time=time, processed=101)) == [
        None,
        None,
    ]


def test_a_moment_is_not_waited_for() -> None:
    watch = WindowWatch()
    assert watch.look(LOOK, 0.0) is None
    assert watch.look(LOOK, PATIENCE_S - 0.1) is None
    assert watch.look(LOOK, PATIENCE_S) is not None


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (None, []),
        (EventTimeProgress("in", held_by="in/2"), ["no event time yet, held by in/2 (no record yet)"]),
        (
            EventTimeProgress("in", NOON, -90_000),
            ["event time 2013-01-01 12:00:00Z (1.5 min ahead of the clock)"],
        ),
        (EventTimeProgress("in", NOON, 5, idle=True), ["event time 2013-01-01 12:00:00Z (idle)"]),
    ],
)
def test_what_a_line_says_of_event_time(time: EventTimeProgress | None, said: list[str]) -> None:
    assert list(event_time_parts(Progress(JobStatus.RUNNING, event_time=time))) == said


def test_durations_and_instants() -> None:
    """Also those that no calendar has."""
    assert [duration(ms) for ms in (0, 59_900, 60_000, 3_600_000, 172_800_000)] == [
        "0.0 s",
        "59.9 s",
        "1.0 min",
        "1.0 h",
        "2.0 days",
    ]
    assert instant(-1) == "1969-12-31 23:59:59Z"
    assert instant(2**63 - 1) == "9,223,372,036,854,775,807 ms"
