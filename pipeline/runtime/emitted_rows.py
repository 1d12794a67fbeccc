"""How many records a source has emitted, and whether a checkpoint is due by them."""

from __future__ import annotations


class EmittedRows:
    """Counts records from one barrier to the next.

    Args:
        due: records after which a checkpoint is due; None for never.

    Attributes:
        total: records emitted in this attempt.

    Example:
        >>> rows = EmittedRows(due=100)
        >>> rows.add(99), rows.add(1), rows.add(1)
        (False, True, False)
    """

    __slots__ = ("_at_barrier", "_due", "_said", "total")

    def __init__(self, due: int | None) -> None:
        self._due = due
        self._at_barrier = 0
        self._said = False
        self.total = 0

    def add(self, count: int) -> bool:
        """Count records; return whether they make a checkpoint due, once for each barrier."""
        self.total += count
        if self._due is None or self._said or self.total - self._at_barrier < self._due:
            return False
        self._said = True
        return True

    def pass_barrier(self) -> None:
        """Count the next ones from here."""
        self._at_barrier = self.total
        self._said = False
