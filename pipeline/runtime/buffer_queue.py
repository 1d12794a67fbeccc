"""What a buffer with a strategy holds: records, control elements, and where barriers have overtaken them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from checkpoint.barrier import Barrier
from pipeline.core.elements import EndOfInput, Idle, Watermark
from pipeline.core.errors import InternalError
from pipeline.core.records import Batch

Element = Batch[Any] | object
"""Records that travel together, or a control element."""


class BufferQueue:
    """Elements in the order of their arrival. It knows no thread and no lock.

    A barrier leaves a cut where it came and is the next thing to be taken. What is before the
    cut belongs to the barrier's epoch: it is saved with the snapshot, since the barrier overtook it.
    Nothing is taken across a cut whose barrier has not been taken.
    """

    def __init__(self) -> None:
        self._entries: deque[_Records | _Control | _Cut] = deque()
        self._overtaking: deque[_Cut] = deque()
        self.records = 0

    # --- what comes in ------------------------------------------------------------------------------

    def append(self, batch: Batch[Any]) -> None:
        """Add records."""
        self._entries.append(_Records(batch))
        self.records += len(batch)

    def append_control(self, element: object) -> None:
        """Add a control element; it replaces those right before it that it makes void."""
        _append_control(self._entries, element)

    def cut(self, barrier: Barrier, dropped: int) -> None:
        """Let a barrier overtake all that is here.

        Args:
            dropped: records dropped before it.
        """
        cut = _Cut(barrier, dropped)
        self._entries.append(cut)
        self._overtaking.append(cut)

    def discard_records(self) -> list[Batch[Any]]:
        """Take all records out, because newer ones replace them; control elements stay.

        What a barrier had overtaken counts as dropped before it: a snapshot holds it no more.
        """
        discarded: list[Batch[Any]] = []
        kept = deque[_Records | _Control | _Cut]()
        so_far = 0
        for entry in self._entries:
            if isinstance(entry, _Records):
                discarded.append(entry.rest)
                so_far += len(entry.rest)
            elif isinstance(entry, _Control):
                _append_control(kept, entry.element)
            else:
                entry.dropped += so_far
                kept.append(entry)
        self._entries = kept
        self.records = 0
        return discarded

    # --- what goes out ------------------------------------------------------------------------------

    @property
    def has_records(self) -> bool:
        """Whether records come next."""
        return isinstance(self._first(), _Records)

    @property
    def has_control(self) -> bool:
        """Whether a barrier or another control element comes next."""
        return bool(self._overtaking) or isinstance(self._first(), _Control)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left but places where barriers were."""
        return all(isinstance(entry, _Cut) and entry.taken for entry in self._entries)

    def take_control(self) -> object:
        """Take the barrier or the control element that comes next."""
        if self._overtaking:
            cut = self._overtaking.popleft()
            cut.taken = True
            return cut.barrier
        first = self._entries.popleft()
        if not isinstance(first, _Control):
            raise InternalError("records come next, no control element")
        return first.element

    def take(self, limit: int) -> Batch[Any]:
        """Take at most `limit` records of those that come next; none if a barrier has come meanwhile."""
        taken: list[Batch[Any]] = []
        while limit > 0 and not self._overtaking and isinstance(first := self._first(), _Records):
            taken.append(first.take(limit))
            limit -= len(taken[-1])
            if first.is_empty:
                self._entries.popleft()
        batch = Batch.concat(taken)
        self.records -= len(batch)
        return batch

    def _first(self) -> _Records | _Control | _Cut | None:
        """Return what comes next; a reader needs no cut whose barrier has been taken."""
        while self._entries:
            first = self._entries[0]
            if not (isinstance(first, _Cut) and first.taken):
                return first
            self._entries.popleft()
        return None

    # --- snapshots ------------------------------------------------------------------------------------

    def overtaken_by(self, barrier: Barrier) -> tuple[Sequence[Element], int] | None:
        """Return what the barrier has overtaken and what had been dropped before it.

        None if it has overtaken nothing: it arrived after all records.
        The end of the input is left out: a source that is restored there says so again.
        """
        overtaken: list[Element] = []
        for entry in self._entries:
            match entry:
                case _Records():
                    overtaken.append(entry.rest)
                case _Control(element):
                    if not isinstance(element, EndOfInput):
                        overtaken.append(element)
                case _Cut() if entry.barrier == barrier:
                    return overtaken, entry.dropped
                case _Cut():
                    pass
        return None

    def forget(self, checkpoint_id: int) -> None:
        """Remove the cuts of checkpoints up to this one, as far as their barriers have been taken."""
        self._entries = deque(entry for entry in self._entries if not _is_over(entry, checkpoint_id))


class _Records:
    """A batch and how much of it has been taken, so that taking a little copies a little."""

    __slots__ = ("_batch", "_position")

    def __init__(self, batch: Batch[Any]) -> None:
        self._batch = batch
        self._position = 0

    @property
    def is_empty(self) -> bool:
        return self._position >= len(self._batch)

    @property
    def rest(self) -> Batch[Any]:
        return self._batch[self._position :] if self._position else self._batch

    def take(self, limit: int) -> Batch[Any]:
        start, self._position = self._position, min(len(self._batch), self._position + limit)
        if start == 0 and self.is_empty:
            return self._batch
        return self._batch[start : self._position]


class _Control:
    __slots__ = ("element",)
    __match_args__ = ("element",)

    def __init__(self, element: object) -> None:
        self.element = element


class _Cut:
    """Where a barrier has overtaken.

    Args:
        dropped: records dropped before the barrier.
    """

    __slots__ = ("barrier", "dropped", "taken")

    def __init__(self, barrier: Barrier, dropped: int) -> None:
        self.barrier = barrier
        self.dropped = dropped
        self.taken = False


_VOID_BEFORE: Final[dict[type, tuple[type, ...]]] = {Watermark: (Watermark, Idle), Idle: (Idle,)}
"""What a control element of event time makes void right before it."""


def _append_control(entries: deque[_Records | _Control | _Cut], element: object) -> None:
    """Add a control element; of time only the latest counts, or a slow consumer's buffer fills with it."""
    void = _VOID_BEFORE.get(type(element), ())
    while entries and isinstance(last := entries[-1], _Control) and isinstance(last.element, void):
        entries.pop()
    entries.append(_Control(element))


def _is_over(entry: _Records | _Control | _Cut, checkpoint_id: int) -> bool:
    return isinstance(entry, _Cut) and entry.taken and entry.barrier.checkpoint_id <= checkpoint_id
