"""What flows between vertices: a batch of records, and where each of them came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar, overload

T = TypeVar("T")


class Origin(NamedTuple):
    """Where a record was read: a split (file, query, partition) and its position there."""

    split: str
    position: int

    def __str__(self) -> str:
        return f"{self.split}@{self.position}"


class OriginRange(Sequence[Origin]):
    """The origins of consecutive records of one split; costs nothing per record."""

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


class PickedOrigins(Sequence[Origin]):
    """Some of the origins of a batch, by index; each is made only when somebody looks at it."""

    __slots__ = ("_indices", "_origins")

    def __init__(self, origins: Sequence[Origin], indices: Sequence[int]) -> None:
        self._origins = origins
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    @overload
    def __getitem__(self, index: int) -> Origin: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Origin]: ...
    def __getitem__(self, index: int | slice) -> Origin | Sequence[Origin]:
        if isinstance(index, slice):
            return PickedOrigins(self._origins, self._indices[index])
        return self._origins[self._indices[index]]

    def pick(self, indices: Sequence[int]) -> PickedOrigins:
        """Pick among the picked, without keeping all of them alive."""
        return PickedOrigins(self._origins, [self._indices[index] for index in indices])


def pick(origins: Sequence[Origin], indices: Sequence[int]) -> Sequence[Origin]:
    """Return the origins at `indices`."""
    if isinstance(origins, PickedOrigins):
        return origins.pick(indices)
    return PickedOrigins(origins, indices)


class Batch(Generic[T]):
    """Records that travel together; immutable once passed on, the records shared and never copied.

    Args:
        values: the records.
        timestamps: event time of each in milliseconds UTC, if anything downstream needs it.
        origins: where each was read, if anything downstream needs it.

    It has a length, and can be sliced and iterated, so that operators which only cut
    and count accept a list of values and a batch alike.
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

    def select(self, indices: Sequence[int]) -> Batch[T]:
        """Return the records at `indices`, with their timestamps and origins."""
        values, timestamps, origins = self.values, self.timestamps, self.origins
        return Batch(
            [values[index] for index in indices],
            None if timestamps is None else [timestamps[index] for index in indices],
            None if origins is None else pick(origins, indices),
        )

    def without_origins(self) -> Batch[T]:
        """Return the batch as it is where no consumer needs origins any more."""
        return self if self.origins is None else Batch(self.values, self.timestamps)

    @staticmethod
    def concat(batches: Sequence[Batch[Any]]) -> Batch[Any]:
        """Join batches in their order; timestamps and origins are kept only if each of them has them."""
        filled = [batch for batch in batches if len(batch)]
        if not filled:
            return Batch(())
        if len(filled) == 1:
            return filled[0]
        return Batch(
            _joined([batch.values for batch in filled]) or (),
            _joined([batch.timestamps for batch in filled]),
            _joined([batch.origins for batch in filled]),
        )

    def __repr__(self) -> str:
        return f"Batch({len(self.values)} records)"


def _joined(tracks: Sequence[Sequence[Any] | None]) -> list[Any] | None:
    present = [track for track in tracks if track is not None]
    if len(present) < len(tracks):
        return None
    joined: list[Any] = []
    for track in present:
        joined += track  # copies a list as a whole: what many windows fire at once goes through here
    return joined


FAILED_RECORDS_KEPT: Final = 5
"""Number of failed records of an operator that a run keeps as a sample."""

_VALUE_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class FailedRecord:
    """A sample of the records that were skipped or dead-lettered.

    Args:
        value: the `repr` of the record, cut at 200 characters.
        error: the exception as `Type: message`.
        operator: uid of the operator whose function raised, or of the source that could not decode.
        function: the user's function as `name (file:line)`, or the class of the source.
        position: where the record was read, as `split@position`; None if unknown.
    """

    value: str
    error: str
    operator: str
    function: str
    position: str | None = None

    @classmethod
    def of(cls, letter: DeadLetter) -> FailedRecord:
        """Return the sample of a dead letter.

        Args:
            letter: of the record.

        Returns:
            The sample, with the position as text.
        """
        position = None if letter.origin is None else str(letter.origin)
        return cls(_described(letter.value), letter.error, letter.operator, letter.function, position)


def sampled(records: Iterable[FailedRecord]) -> tuple[FailedRecord, ...]:
    """Return the first few different records of each operator, in their order."""
    kept: dict[FailedRecord, None] = {}
    of_operator = Counter[str]()
    for record in records:
        if record not in kept and of_operator[record.operator] < FAILED_RECORDS_KEPT:
            of_operator[record.operator] += 1
            kept[record] = None
    return tuple(kept)


def _described(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - whatever the `__repr__` of a user's class raises
        return f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= _VALUE_CHARACTERS else f"{text[: _VALUE_CHARACTERS - 1]}…"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record on which a function raised, with everything needed to fix and replay it.

    Args:
        value: the argument of the call that raised; of a source, the input that it could not decode.
        error: the exception as `Type: message`.
        operator: uid of the operator whose function raised.
        function: the user's function as `name (file:line)`.
        origin: where the record was read; None if the source does not say.

    Example:
        parsed.side_output(DEAD_LETTERS).map(lambda letter: {"value": letter.value, "error": letter.error})
    """

    value: Any
    error: str
    operator: str
    function: str
    origin: Origin | None = None
