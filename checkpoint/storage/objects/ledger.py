"""What one attempt has written into its job's log, and which entries are needed no more."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from checkpoint.storage.objects.history import Kind, LogSum
from checkpoint.storage.objects.log import JobLog


class Ledger:
    """The log of a job, as an attempt found it and continues it.

    Args:
        log: appends to it.
        before: the sum of all entries before the attempt's claim.
    """

    def __init__(self, log: JobLog, before: LogSum) -> None:
        self.attempt = log.attempt
        self.decided = dict(before.decided)
        self.noted = before.noted
        self._log = log
        self._superseded = set(before.superseded)
        self._decisions: dict[int, int] = {}
        self._note: int | None = None

    def begin(self, **word: Any) -> None:
        """Say what the attempt works on."""
        self._log.append(Kind.BEGIN, **word)

    def decide(self, checkpoint_id: int) -> None:
        """Decide that a checkpoint is complete, once its manifest is stored."""
        self._decisions[checkpoint_id] = self._log.append(Kind.DECISION, checkpoint_id=checkpoint_id)
        self.decided[checkpoint_id] = self.attempt

    def note(self, checkpoint_id: int, noted_ms: int) -> None:
        """Say that everything up to a checkpoint is committed."""
        if checkpoint_id <= self.noted:
            self._log.ensure_newest()
            return
        slot = self._log.append(Kind.NOTE, checkpoint_id=checkpoint_id, noted_ms=noted_ms)
        if self._note is not None:
            self._superseded.add(self._note)
        self._note, self.noted = slot, checkpoint_id

    def end(self, **word: Any) -> None:
        """Say how the attempt ended."""
        self._log.append(Kind.END, **word)

    def ensure_newest(self) -> None:
        """Raise `Fenced` if a newer attempt was claimed; any thread."""
        self._log.ensure_newest()

    def forget(self, checkpoints: Container[int]) -> None:
        """Forget deleted checkpoints; their slots are superseded."""
        self.decided = {one: attempt for one, attempt in self.decided.items() if one not in checkpoints}
        self._superseded |= {slot for one, slot in self._decisions.items() if one in checkpoints}
        self._decisions = {one: slot for one, slot in self._decisions.items() if one not in checkpoints}

    def take_superseded(self) -> list[int]:
        """Return the slots of entries that may be deleted; a later claim names again what is left of them."""
        slots = sorted(self._superseded)
        self._superseded.clear()
        return slots
