"""Event time for people: how far it has come, what holds it, and a hint where windows wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.runtime.result import EventTimeProgress, Progress

PATIENCE_S: Final = 10.0
"""Seconds without progress of event time after which windows are reported to wait for it."""

_UNITS: Final = ((86_400_000, "days"), (3_600_000, "h"), (60_000, "min"))


class WindowWatch:
    """Notices windows that wait because event time does not advance, and reports each cause once."""

    def __init__(self) -> None:
        self._seen: object = None
        self._since = 0.0
        self._said: set[str | None] = set()

    def look(self, progress: Progress, now: float) -> str | None:
        """Return a hint if it is time for one.

        Args:
            progress: of the job, now.
            now: a clock in seconds that never goes back.
        """
        time = progress.event_time
        slowed = any(edge.active for edge in progress.edges)  # what holds event time up is the job itself
        seen = None if time is None or slowed else _standing(time, progress.processed)
        if time is None or seen is None or not progress.open_windows or seen != self._seen:
            self._seen, self._since = seen, now
            return None
        if now - self._since < PATIENCE_S or time.held_by in self._said:
            return None
        self._said.add(time.held_by)
        windows = (
            f"{progress.open_windows:,} {'window waits' if progress.open_windows == 1 else 'windows wait'}"
        )
        return f"{windows} {_cause(time)}"


def event_time_parts(progress: Progress) -> Iterator[str]:
    """Yield what a line of progress says of event time, if windows go by it."""
    time = progress.event_time
    if time is None:
        return
    held = ""
    if time.held_by is not None:
        late = "no record yet" if time.behind_ms is None else f"{duration(time.behind_ms)} behind"
        held = f", held by {time.held_by} ({late})"
    yield f"{_reached(time)}{held}"
    if progress.open_windows:
        yield f"{progress.open_windows:,} open window{'' if progress.open_windows == 1 else 's'}"


def instant(ms: int) -> str:
    """Write an instant, in milliseconds UTC, as date and time.

    Example:
        >>> instant(1_357_034_400_000)
        '2013-01-01 10:00:00Z'
    """
    try:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms):%Y-%m-%d %H:%M:%S}Z"
    except OverflowError:
        return f"{ms:,} ms"


def duration(ms: int) -> str:
    """Write a duration in the unit that fits it.

    Example:
        >>> duration(1_500), duration(5_400_000)
        ('1.5 s', '1.5 h')
    """
    for size, unit in _UNITS:
        if ms >= size:
            return f"{ms / size:,.1f} {unit}"
    return f"{ms / 1000:.1f} s"


def _standing(time: EventTimeProgress, processed: int) -> object:
    """Return what is equal as long as event time does not advance, for the same cause."""
    # Without a split that holds it, event time waits for records: as long as they come it may just be slow.
    return time.source, time.timestamp, time.held_by, processed if time.held_by is None else None


def _cause(time: EventTimeProgress) -> str:
    if time.held_by is None and time.timestamp is not None:
        return f"for records of {time.source}: event time is {instant(time.timestamp)} until new ones arrive"
    advice = "with_idleness(…) of its watermarks lets event time pass a silent split"
    if time.held_by is None or time.behind_ms is None:
        return f"for {time.held_by or time.source}, which has emitted nothing: {advice}"
    return f"for {time.held_by}, which is {duration(time.behind_ms)} behind the other splits: {advice}"


def _reached(time: EventTimeProgress) -> str:
    if time.timestamp is None or time.lag_ms is None:
        return "no event time yet"
    if time.idle:
        return f"event time {instant(time.timestamp)} (idle)"
    lag = (
        f"lag {duration(time.lag_ms)}" if time.lag_ms >= 0 else f"{duration(-time.lag_ms)} ahead of the clock"
    )
    return f"event time {instant(time.timestamp)} ({lag})"
