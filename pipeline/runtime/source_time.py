"""Event time where it begins: timestamps of the records of a source, and watermarks after them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from pipeline.core.clock import Clock
from pipeline.core.elements import BEGINNING, TimeElement
from pipeline.core.records import Batch
from pipeline.operators.timestamps import Timestamps
from pipeline.operators.watermarking import Watermarking
from pipeline.runtime.event_time import MergedTime
from pipeline.runtime.idleness import Idleness
from pipeline.runtime.result import EventTimeProgress
from pipeline.windows.watermarks import WatermarkStrategy

_log = logging.getLogger(__name__)

UNNAMED: Final = ""
"""The split of a source that names none."""


class SourceTime:
    """Stamps what a source emits and says after which records event time has come how far.

    Used holding the checkpoint lock.

    Args:
        strategy: the user's.
        uid: of the source, for people.
        timestamps: returns the times of its records.
        wake: see `Idleness`.
        confirms_silence: whether a silent split is idle only once the source has said that nothing is
            pending in it.
    """

    def __init__(
        self,
        strategy: WatermarkStrategy,
        uid: str,
        timestamps: Timestamps,
        clock: Clock,
        wake: Callable[[], None],
        *,
        confirms_silence: bool = False,
    ) -> None:
        self._strategy = strategy
        self._confirms_silence = confirms_silence
        self._uid = uid
        self._timestamps = timestamps
        self._clock = clock
        self._splits: dict[str, Watermarking] = {}
        self._merged: MergedTime[str] = MergedTime()
        self._undeclared: set[str] = set()
        timeout = strategy.idleness_ms
        self.idleness = None if timeout is None else Idleness(timeout, clock, wake)
        self._add(UNNAMED)
        self._only_assumed = True

    def declare(self, splits: Sequence[str]) -> list[TimeElement]:
        """Add splits; the first call names all there are, and drops restored ones that it does not name."""
        changes: list[TimeElement] = []
        for split in splits:  # all of them first: a dropped one must not let event time pass a new one
            changes += self._know(split)
        gone, self._undeclared = self._undeclared.difference(splits), set()
        if gone:
            _log.warning(
                "%s no longer reads %s: event time no longer waits for it",
                self._uid,
                ", ".join(sorted(gone)),
            )
        for split in gone:
            changes += self._forget(split)
        return changes

    def end(self, splits: Sequence[str]) -> list[TimeElement]:
        """Let event time pass splits that emit no more records."""
        changes: list[TimeElement] = []
        for split in splits:
            if self.idleness is not None:
                self.idleness.forget(split)
            changes += self._merged.end(split)
        return changes

    def stamped(self, batch: Batch[Any], split: str) -> Iterator[Batch[Any] | TimeElement]:
        """Yield the records with their timestamps, then how far event time has advanced."""
        batch, greatest = self._timestamps.stamp(batch)
        yield from self._know(split)
        if self._merged.is_idle(split):  # it holds event time back again before its records are seen
            yield from self._merged.advance(split, BEGINNING)
        if self.idleness is not None:
            self.idleness.hear(split)
        known = self._splits[split]
        for piece in known.pieces(batch):
            moving = known.moving(piece, greatest if piece is batch else None)
            yield piece
            watermark = known.moved(moving)
            if watermark is not None:
                yield from self._merged.advance(split, watermark)

    def fall_idle(self) -> list[TimeElement]:
        """Let event time pass splits that were silent for too long, if the source need not confirm it."""
        due = [] if self._confirms_silence else self.silent()
        return [element for split in due for element in self._merged.fall_idle(split)]

    def look(self) -> None:
        """The source looks for records from here on."""
        if self.idleness is not None:
            self.idleness.look()

    def rest(self) -> None:
        """The source emits, or waits until it may."""
        if self.idleness is not None:
            self.idleness.rest()

    def left_ms(self) -> int | None:
        """Return after how long to call `fall_idle` again; None for when `wake` is called."""
        return None if self.idleness is None or self._confirms_silence else self.idleness.left_ms()

    def silent(self) -> list[str]:
        """Return the splits that have been silent for too long, each once."""
        return [] if self.idleness is None else self.idleness.take_due()

    def settle_silence(self, split: str, *, pending: bool) -> list[TimeElement]:
        """Record what a silent split has: if nothing, event time passes it, else its silence restarts."""
        if self.idleness is None or self.idleness.counts(split):  # it has emitted since it was asked about
            return []
        if pending:
            self.idleness.hear(split)
            return []
        return self._merged.fall_idle(split)

    def now(self) -> list[TimeElement]:
        """Emit the initial event time."""
        return self._merged.now()

    def progress(self) -> EventTimeProgress:
        """Look at it; any thread."""
        reached = self._merged.timestamp
        held_by, behind_ms = self._merged.held_by or (None, None)
        return EventTimeProgress(
            source=self._uid,
            timestamp=None if reached == BEGINNING else reached,
            lag_ms=None if reached == BEGINNING else self._clock.now_ms() - reached,
            held_by=held_by,
            behind_ms=behind_ms,
            idle=self._merged.idle,
        )

    # --- snapshots -------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Return what continues here, beside the position."""
        splits = {
            name: {
                "greatest": split.greatest,
                "records": split.records,
                "watermark": self._merged.reached(name),
                "idle": self._merged.is_idle(name),
            }
            for name, split in self._splits.items()
        }
        return {"watermark": self._merged.timestamp, "splits": splits}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where `snapshot` was taken; every split is waited for again."""
        self._merged.restore(state["watermark"])
        for name in state["splits"]:  # all of them first: the slowest of those known leads
            self._know(name)
        for name, stored in state["splits"].items():
            # None of them is idle, whatever it was: it may have got records while the job was down.
            self._splits[name] = Watermarking(
                self._strategy, self._clock, stored["greatest"], stored["records"]
            )
            self._merged.advance(name, stored["watermark"])
        self._undeclared = set(state["splits"])

    # --- splits ------------------------------------------------------------------------------------

    def _know(self, split: str) -> list[TimeElement]:
        if split in self._splits:
            if split == UNNAMED:
                self._only_assumed = False
            return []
        changes = self._add(split)
        if self._only_assumed:
            self._only_assumed = False
            changes += self._forget(UNNAMED)
        return changes

    def _forget(self, split: str) -> list[TimeElement]:
        del self._splits[split]
        if self.idleness is not None:
            self.idleness.forget(split)
        return self._merged.remove(split)

    def _add(self, split: str) -> list[TimeElement]:
        self._splits[split] = Watermarking(self._strategy, self._clock)
        if self.idleness is not None:
            self.idleness.hear(split)
        return self._merged.add(split)
