"""Sources that wait for checkpoints: how many there are depends on the records, not on the machine."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from connectors import CollectionSource, FileSource, SqlQuerySource
from pipeline.spi.source import JsonLike, Source

PATIENCE_S = 30
"""How long a checkpoint may take: a job that waits longer fails, and says why."""


class Gate(Source[Any]):
    """Mixed into a source: emits at most `ROOM` records beyond those of the last committed checkpoint.

    With `checkpoint_rows` of at most ROOM and no pause between checkpoints, a job of N records takes
    at least N / ROOM of them. The records between the two numbers are on their way while a checkpoint is.
    """

    ROOM = 150

    _changed: ClassVar = threading.Condition()
    _cancelled = False
    _emitted = _at_barrier = _committed = 0

    def open(self, ctx: Any) -> None:
        self._emitted = self._at_barrier = self._committed = 0
        super().open(self._gated(ctx))

    def run(self, ctx: Any) -> None:
        super().run(self._gated(ctx))

    def cancel(self) -> None:
        super().cancel()
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def snapshot_state(self) -> JsonLike:
        self._at_barrier = self._emitted
        return super().snapshot_state()

    def checkpoint_committed(self, checkpoint_id: int) -> None:
        super().checkpoint_committed(checkpoint_id)
        with self._changed:
            self._committed = self._at_barrier
            self._changed.notify_all()

    def room(self) -> int:
        """Wait until records may be emitted; return how many, or 1 if the source is cancelled instead."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._cancelled or self._left > 0, PATIENCE_S)
            assert came, f"no checkpoint was committed within {PATIENCE_S} s of {self._emitted} records"
            return max(1, self._left)

    @property
    def _left(self) -> int:
        return self._committed + self.ROOM - self._emitted

    def _gated(self, ctx: Any) -> Any:
        return _GatedContext(ctx, self) if self.info.resumable else ctx  # it gets none before its end

    def passed(self, count: int) -> None:
        """Count what was emitted, under the checkpoint lock."""
        self._emitted += count


class _GatedContext:
    """The source's context, with a gate before its demand."""

    def __init__(self, ctx: Any, gate: Gate) -> None:
        self._ctx = ctx
        self._gate = gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)

    def wait_demand(self) -> int:
        room = self._gate.room()
        return min(room, self._ctx.wait_demand())

    def emit(self, values: Any, *details: Any, **named: Any) -> None:
        self._gate.passed(len(values))
        self._ctx.emit(values, *details, **named)


class GatedCollection(Gate, CollectionSource[Any]):
    """A collection with a gate."""


class GatedFile(Gate, FileSource):
    """A file with a gate."""


class GatedQuery(Gate, SqlQuerySource[Any]):
    """A query with a gate."""
