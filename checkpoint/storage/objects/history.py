"""What the entries of a job's log add up to: a pure fold.

claim      a new attempt owns the job; carries the sum of all entries before it
begin      what the attempt works on and where it starts from
decision   a checkpoint is complete: its epoch is committed
note       everything up to a checkpoint is known to be committed
end        how the attempt ended
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

from checkpoint.storage.base import DISCARDED, PastAttempt

ATTEMPTS_KEPT: Final = 20
"""Attempts that are remembered, for people to read."""


class Kind(StrEnum):
    """What an entry of the log says."""

    CLAIM = "claim"
    BEGIN = "begin"
    DECISION = "decision"
    NOTE = "note"
    END = "end"


@dataclass(frozen=True, slots=True)
class LogSum:
    """The sum of a log up to some slot.

    Args:
        attempt: the newest that was claimed, 0 for none.
        decided: of each checkpoint that was decided and not discarded the attempt that decided it.
        noted: the highest checkpoint whose commit is noted.
        past: attempts that had begun, oldest first.
        superseded: slots below the newest claim that hold no claim and may be deleted.
    """

    attempt: int = 0
    decided: Mapping[int, int] = field(default_factory=dict[int, int])
    noted: int = 0
    past: tuple[PastAttempt, ...] = ()
    superseded: tuple[int, ...] = ()

    def then(self, slot: int, entry: Mapping[str, Any]) -> LogSum:
        """Add an entry."""
        kind = Kind(entry["kind"])
        if kind is Kind.CLAIM:  # what it carries is this very sum, or that of a log whose start was deleted
            return replace(LogSum.from_json(entry["sum"]), attempt=entry["attempt"])
        added = replace(self, superseded=(*self.superseded, slot))
        if kind is Kind.BEGIN:
            begun = {name: value for name, value in entry.items() if name not in {"kind", "attempt"}}
            past = PastAttempt(number=entry["attempt"], status=None, **begun)
            return replace(added, past=(*self.past, past)[-ATTEMPTS_KEPT:])
        if kind is Kind.DECISION:
            return replace(added, decided={**self.decided, entry["checkpoint_id"]: entry["attempt"]})
        if kind is Kind.NOTE:
            return replace(added, noted=max(self.noted, entry["checkpoint_id"]))
        return _ended(added, entry)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "decided": {str(one): attempt for one, attempt in self.decided.items()}}

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> LogSum:
        return cls(
            attempt=read["attempt"],
            decided={int(one): attempt for one, attempt in read["decided"].items()},
            noted=read["noted"],
            past=tuple(PastAttempt(**one) for one in read["past"]),
            superseded=tuple(read["superseded"]),
        )


def _ended(before: LogSum, entry: Mapping[str, Any]) -> LogSum:
    past = tuple(
        replace(one, status=entry["status"]) if one.number == entry["attempt"] else one for one in before.past
    )
    decided = before.decided
    if entry["status"] == DISCARDED:
        decided = {one: attempt for one, attempt in decided.items() if one in entry["kept"]}
    return replace(before, past=past, decided=decided)
