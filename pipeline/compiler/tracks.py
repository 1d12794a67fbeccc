"""What travels beside the values: timestamps and origins, kept aligned through a chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from pipeline.core.records import Batch, Origin


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
        """Pick among the picked, without holding on to all of them."""
        return PickedOrigins(self._origins, [self._indices[index] for index in indices])


def pick(origins: Sequence[Origin], indices: Sequence[int]) -> Sequence[Origin]:
    """Return the origins that stand at `indices`."""
    if isinstance(origins, PickedOrigins):
        return origins.pick(indices)
    return PickedOrigins(origins, indices)


def without_origins(batch: Batch[Any]) -> Batch[Any]:
    """Return the batch as nobody needs origins any more."""
    return batch if batch.origins is None else Batch(batch.values, batch.timestamps)


def joined(batches: Sequence[Batch[Any]]) -> Batch[Any]:
    """Put batches one behind the other; a track goes on only if each of them has it."""
    filled = [batch for batch in batches if len(batch)]
    if not filled:
        return Batch(())
    if len(filled) == 1:
        return filled[0]
    values = [value for batch in filled for value in batch.values]
    return Batch(
        values,
        _joined_track([batch.timestamps for batch in filled]),
        _joined_track([batch.origins for batch in filled]),
    )


def _joined_track(tracks: Sequence[Sequence[Any] | None]) -> list[Any] | None:
    present = [track for track in tracks if track is not None]
    if len(present) < len(tracks):
        return None
    return [mark for track in present for mark in track]
