"""What flows between vertices: a batch of records, and where each of them came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, overload

T = TypeVar("T")


class Origin(NamedTuple):
    """Where a record was read: a split (file, query, partition) and its position there."""

    split: str
    position: int

    def __str__(self) -> str:
        return f"{self.split}@{self.position}"


class OriginRange(Sequence[Origin]):
    """The origins of records that stand one behind the other in one split; costs nothing per record."""

    __slots__ = ("_count", "_first", "_split")

    def __init__(self, split: str, first: int, count: int) -> None:
        self._split = split
        self._first = first
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Origin: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Origin]: ...
    def __getitem__(self, index: int | slice) -> Origin | Sequence[Origin]:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._count)
            if step != 1:
                return [self[i] for i in range(start, stop, step)]
            return OriginRange(self._split, self._first + start, max(0, stop - start))
        if index < 0:
            index += self._count
        if not 0 <= index < self._count:
            raise IndexError(index)
        return Origin(self._split, self._first + index)


class Batch(Generic[T]):
    """Records that travel together; immutable once handed on, the records shared and never copied.

    Args:
        values: the records.
        timestamps: event time of each in milliseconds UTC, where anything downstream wants it.
        origins: where each was read, where anything downstream wants it.

    It has a length, can be sliced and iterated, so that operators which only cut
    and count serve a list of values and a batch alike.
    """

    __slots__ = ("origins", "timestamps", "values")

    def __init__(
        self,
        values: Sequence[T],
        timestamps: Sequence[int] | None = None,
        origins: Sequence[Origin] | None = None,
    ) -> None:
        self.values = values
        self.timestamps = timestamps
        self.origins = origins

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[T]:
        return iter(self.values)

    def __getitem__(self, cut: slice) -> Batch[T]:
        timestamps = None if self.timestamps is None else self.timestamps[cut]
        origins = None if self.origins is None else self.origins[cut]
        return Batch(self.values[cut], timestamps, origins)

    def __repr__(self) -> str:
        return f"Batch({len(self.values)} records)"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that a function could not handle, with all that is needed to mend and replay it.

    Args:
        value: the argument of the call that raised.
        error: the exception as `Type: message`.
        operator: uid of the operator whose function raised.
        function: the user's function as `name (file:line)`.
        origin: where the record came from, None where the source does not say.
    """

    value: Any
    error: str
    operator: str
    function: str
    origin: Origin | None = None
