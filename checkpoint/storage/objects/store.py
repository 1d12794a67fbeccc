"""What a checkpoint storage needs of an object store: whole objects, and a create that never overwrites."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store says about one object.

    Args:
        size_bytes: its length.
        tag: changes with every write of the object.
        age_ms: milliseconds since it was written, both read from the store's own clock.
    """

    size_bytes: int
    tag: str
    age_ms: int


class ObjectStore(Protocol):
    """Objects by key, read after write consistent. Methods may be called on any thread.

    Each request has a time limit and is retried a few times. After that a method raises a
    `CheckpointError` that names the object, says what was wanted, and whether a later try may help.
    """

    @property
    def location(self) -> str:
        """The URL that keys are relative to."""
        ...

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless the key is taken, and read it back.

        Returns:
            False if the key is taken: by somebody else, or by an earlier try of this very call whose
            answer was lost. The caller reads the object to find out.
        """
        ...

    def put(self, key: str, data: bytes) -> None:
        """Write an object, over another if there is one, and make sure that the store has it."""
        ...

    def get(self, key: str) -> bytes | None:
        """Read a whole object; None if there is none."""
        ...

    def stat(self, key: str) -> Stored | None:
        """Look at an object without reading it; None if there is none."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Yield all keys that begin so, in their order."""
        ...

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; a missing one is not an error."""
        ...

    def close(self) -> None:
        """Give up the connections."""
        ...
