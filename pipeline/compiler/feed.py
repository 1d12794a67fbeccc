"""One batch on its way through a generated loop: what goes in, and which record each output came from."""

from __future__ import annotations

from collections.abc import Sequence
from operator import length_hint
from typing import Any

from pipeline.core.records import Batch, Origin, pick

# Their iterators know how much is left, which is how the record in work is found.
_COUNTED = (list, tuple, range)


class Feed:
    """What a generated loop reads from and keeps its marks in.

    The loop counts nothing: the position of a record follows from what its iterator has left, and is
    asked for only when a call has raised. Where outputs are not one for each record and timestamps
    or origins must go with them, the loop runs over `marks` as well and appends the mark of each
    output to `kept`. A mark is the record's timestamp, or its index if origins travel too.

    Args:
        batch: the records.
        one_to_one: each record produces exactly one output, so the tracks stay as they are.
        carry_origins: whether the outputs take their origins with them.

    Attributes:
        records: the iterator that the loop consumes; only one loop may.
        marks: one for each record; None where the loop needs none.
        kept: the marks of the outputs since the last `collect`.
    """

    __slots__ = ("_count", "_one_to_one", "_origins", "_timestamps", "_tracked", "kept", "marks", "records")

    def __init__(self, batch: Batch[Any], *, one_to_one: bool, carry_origins: bool) -> None:
        values = batch.values if type(batch.values) in _COUNTED else list(batch.values)
        self.records = iter(values)
        self.kept: list[int] = []
        self._count = len(values)
        self._origins = batch.origins
        self._timestamps = batch.timestamps
        self._tracked = batch.origins if carry_origins else None
        self._one_to_one = one_to_one
        self.marks: Sequence[int] | None = None
        if not one_to_one:
            self.marks = batch.timestamps if self._tracked is None else range(self._count)

    def origin(self) -> Sequence[Origin] | None:
        """Return the origin of the record in work, as a sequence of one; None where none is known."""
        if self._origins is None:
            return None
        return [self._origins[self._count - length_hint(self.records) - 1]]

    def collect(self, values: list[Any]) -> Batch[Any]:
        """Make a batch of the outputs since the last call, with the tracks that go with them."""
        if self._one_to_one:
            return Batch(values, self._timestamps, self._tracked)
        if self.marks is None:
            return Batch(values)
        marks = self.kept.copy()
        self.kept.clear()
        if self._tracked is None:
            return Batch(values, marks)
        timestamps = self._timestamps
        return Batch(
            values,
            None if timestamps is None else [timestamps[index] for index in marks],
            pick(self._tracked, marks),
        )
