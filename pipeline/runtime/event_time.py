"""The event time of several inputs as one: of the splits of a source, of the channels of a subtask."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pipeline.core.elements import BEGINNING, IDLE, TimeElement, Watermark

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Input:
    timestamp: int = BEGINNING
    idle: bool = False
    ended: bool = False


class MergedTime(Generic[K]):
    """Follows the slowest input that is not idle, and never goes back.

    An input that has ended holds nothing back. Where all that are left are idle, so is the whole,
    and it advances to the furthest of them: otherwise it would depend on which fell silent first.
    Each method returns what must be sent on, in order.

    Args:
        inputs: those known from the beginning; each holds the whole back until it says something.
    """

    def __init__(self, inputs: Iterable[K] = ()) -> None:
        self._inputs: dict[K, _Input] = {key: _Input() for key in inputs}
        self._idle = False
        self.timestamp = BEGINNING

    def add(self, key: K) -> list[TimeElement]:
        """Wait for another input too."""
        if key not in self._inputs:  # replaced, never changed: `held_by` may be going through it
            self._inputs = {**self._inputs, key: _Input()}
        return self._changes()

    def remove(self, key: K) -> list[TimeElement]:
        """Forget an input that does not exist, or no longer."""
        self._inputs = {other: each for other, each in self._inputs.items() if other != key}
        return self._changes()

    def advance(self, key: K, timestamp: int) -> list[TimeElement]:
        """An input has reached `timestamp`; it is not idle."""
        found = self._inputs[key]
        if timestamp <= found.timestamp and not found.idle:
            return []
        found.timestamp = max(found.timestamp, timestamp)
        found.idle = False
        return self._changes()

    def fall_idle(self, key: K) -> list[TimeElement]:
        """No record is expected from an input for now."""
        self._inputs[key].idle = True
        return self._changes()

    def end(self, key: K) -> list[TimeElement]:
        """An input has ended."""
        self._inputs[key].ended = True
        return self._changes()

    def reached(self, key: K) -> int:
        """Return how far an input has come."""
        return self._inputs[key].timestamp

    def is_idle(self, key: K) -> bool:
        return self._inputs[key].idle

    @property
    def idle(self) -> bool:
        """Whether no record is expected on any input for now."""
        return self._idle

    @property
    def held_by(self) -> tuple[K, int | None] | None:
        """The input that the others wait for, and how far it is behind the furthest; any thread.

        None where none is further than the slowest; None for how far where that one has said nothing yet.
        """
        left = [(key, each) for key, each in self._inputs.items() if not each.ended]
        awake = [(each.timestamp, key) for key, each in left if not each.idle]
        if not awake:
            return None
        slowest, holder = min(awake, key=lambda one: one[0])
        furthest = max(each.timestamp for _, each in left)
        if furthest == slowest:
            return None
        return holder, None if slowest == BEGINNING else furthest - slowest

    def restore(self, timestamp: int) -> None:
        """Restore a snapshot; the inputs are restored one by one."""
        self.timestamp = timestamp

    def now(self) -> list[TimeElement]:
        """Repeat the event time of the whole, for a new reader."""
        told: list[TimeElement] = [] if self.timestamp == BEGINNING else [Watermark(self.timestamp)]
        return [*told, IDLE] if self._idle else told

    def _changes(self) -> list[TimeElement]:
        left = [each for each in self._inputs.values() if not each.ended]
        if not left:
            return []  # the end of the input says all
        awake = [each.timestamp for each in left if not each.idle]
        reached = min(awake) if awake else max(each.timestamp for each in self._inputs.values())
        was_idle, self._idle = self._idle, not awake
        changes: list[TimeElement] = []
        if reached > self.timestamp or (was_idle and awake):
            self.timestamp = max(self.timestamp, reached)
            changes.append(Watermark(self.timestamp))
        if self._idle and not was_idle:
            changes.append(IDLE)
        return changes
