"""When the next periodic checkpoint is due: by time, by records, or because somebody can wait no longer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CoordinatorSettings:
    """When checkpoints are taken and how much may go wrong.

    Args:
        first_checkpoint_id: higher than every id that has a manifest, a note or a mark.
        interval_ms: from one periodic barrier to the next; None for not by time.
        rows: records emitted by the sources from one barrier to the next; None for not by rows.
        min_pause_ms: the least time from the end of one checkpoint, or the start of the run, to
            the next periodic barrier.
        timeout_ms: a checkpoint without a manifest by then is declined.
        tolerable_failures: how many checkpoints may fail one after the other.
    """

    first_checkpoint_id: int
    interval_ms: int | None = None
    rows: int | None = None
    min_pause_ms: int = 500
    timeout_ms: int = 600_000
    tolerable_failures: int = 3


class CheckpointSchedule:
    """Counts time and records from one checkpoint to the next; all times are monotonic milliseconds.

    Args:
        settings: when checkpoints are taken.
    """

    def __init__(self, settings: CoordinatorSettings) -> None:
        self._settings = settings
        self._hastened = False
        self._hastened_at_trigger = False
        self._first_wanted = False
        self._triggered_at = 0
        self._over_at = 0
        self._rows = 0
        self._rows_at_trigger = 0
        self._rows_covered = 0

    @property
    def expires_at(self) -> int:
        """When the checkpoint triggered last is declined if it has no manifest."""
        return self._triggered_at + self._settings.timeout_ms

    @property
    def due_at(self) -> int | None:
        """When the next periodic checkpoint may begin, None if only rows or requests can tell."""
        earliest = self._over_at + self._settings.min_pause_ms
        rows, interval = self._settings.rows, self._settings.interval_ms
        if self._hastened or self._first_wanted:
            return earliest
        if rows is not None and self._rows - self._rows_covered >= rows:
            return earliest
        return None if interval is None else max(earliest, self._triggered_at + interval)

    def start(self, now: int, *, at_once: bool = False) -> None:
        """Count intervals and pauses from here.

        Args:
            at_once: the first one is due now and, if it fails, after each pause until one is complete.
        """
        self._triggered_at = self._over_at = now
        if at_once:
            self._first_wanted = True
            self._over_at = now - self._settings.min_pause_ms

    def rows_emitted(self, total: int) -> None:
        """Take note of how many records the sources have emitted since the start of the run."""
        self._rows = total

    def hasten(self) -> None:
        """Let the next one begin as soon as the pause allows."""
        self._hastened = True

    def triggered(self, now: int) -> None:
        """Take note that a checkpoint begins."""
        self._triggered_at = now
        self._rows_at_trigger = self._rows
        self._hastened_at_trigger, self._hastened = self._hastened, False

    def complete(self) -> None:
        """Take note that it has a manifest.

        Only now the reasons for which it was due are gone: the epoch of a declined one continues, and the
        next checkpoint is due for its records as soon as the pause allows.
        """
        self._first_wanted = self._hastened_at_trigger = False
        self._rows_covered = self._rows_at_trigger

    def over(self, now: int) -> None:
        """Take note that it has ended, one way or the other."""
        self._hastened = self._hastened or self._hastened_at_trigger
        self._hastened_at_trigger = False
        self._over_at = now
