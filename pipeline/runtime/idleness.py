"""Which splits of a source have been silent for too long, not counting the time it was held back."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.core.clock import Clock


class Idleness:
    """Counts, for each split, the time for which the source has looked for records in vain.

    Only the time between being asked for records and emitting some counts: while a source waits for
    demand, or for the chain that takes its records, no split can show that it is alive. The clock is
    stopped and started by the source's thread; everything else is done holding the checkpoint lock.

    Args:
        timeout_ms: silence after which a split is idle.
        wake: called when there is something to wait for again, after `left_ms` has returned None.
    """

    def __init__(self, timeout_ms: int, clock: Clock, wake: Callable[[], None]) -> None:
        self._timeout_ms = timeout_ms
        self._clock = clock
        self._wake = wake
        self._looked: tuple[int, int | None] = (0, None)  # one value, so that it is never seen half changed
        self._heard: dict[str, int] = {}
        self._none_before = 0
        self._unwatched = False

    def look(self) -> None:
        """Start the clock, if it does not run: the source has been asked for records."""
        looked, since = self._looked
        if since is None:
            self._looked = looked, self._clock.monotonic_ms()
            self._watch()

    def rest(self) -> None:
        """Stop the clock: the source emits, or waits until it may."""
        self._looked = self._now(), None

    def hear(self, split: str) -> None:
        """Record that a split emitted something, or is new."""
        self._heard[split] = self._now()
        if self._looked[1] is not None:
            self._watch()

    def forget(self, split: str) -> None:
        """Count no longer: the split is idle, or does not exist."""
        self._heard.pop(split, None)

    def counts(self, split: str) -> bool:
        """Whether the silence of a split counts: it has not been taken as due since it was last heard."""
        return split in self._heard

    def take_due(self) -> list[str]:
        """Return the splits that have been silent for too long, each once."""
        now = self._now()
        if now < self._none_before:  # looked at by a busy source before each read, with thousands of splits
            return []
        due = [split for split, heard in self._heard.items() if now - heard >= self._timeout_ms]
        for split in due:
            self.forget(split)
        self._none_before = min(self._heard.values(), default=now) + self._timeout_ms
        return due

    def left_ms(self) -> int | None:
        """Return after how long to look again; None for when `wake` is called."""
        self._unwatched = True  # before it is looked at, so that no start of the clock is missed
        if not self._heard or self._looked[1] is None:
            return None
        self._unwatched = False
        return max(1, min(self._heard.values()) + self._timeout_ms - self._now())

    def _watch(self) -> None:
        if self._unwatched:
            self._unwatched = False
            self._wake()

    def _now(self) -> int:
        looked, since = self._looked
        return looked if since is None else looked + self._clock.monotonic_ms() - since
