"""The maps of keys of many windows: the rows of a window state."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from itertools import islice
from typing import Any

from pipeline.core.errors import StateError
from state.backend import Key, WindowKey
from state.keymap import KeyMap


class WindowMaps(dict[WindowKey, KeyMap[Any]]):
    """The maps of all windows, by what each is known by.

    Windows first, keys second: one that closes goes as a whole, without a look at its keys. A
    snapshot has a row for each key of each window, so that it can be divided by key groups.
    """

    def batch(self, keys: Sequence[Key]) -> MutableMapping[Key, Any]:
        raise StateError("a window state is read by window", hint="use window_table()")

    def all_of(self, kind: type) -> None:
        """There is none either."""

    def load(self, keys: Sequence[Key], values: Sequence[Any]) -> None:
        """Add rows as `columns` returned them."""
        for key, (*window, value) in zip(keys, values, strict=True):
            self.setdefault(tuple(window), KeyMap())[key] = value

    def columns(self) -> tuple[list[Key], list[Any]]:
        """Return a key and a row for each entry: the parts of its window, then the value."""
        rows = list(self._rows())
        return [key for key, _ in rows], [row for _, row in rows]

    @property
    def stored(self) -> int:
        """How many entries take memory."""
        return sum(map(len, self.values()))

    def sample(self, size: int) -> list[tuple[Key, list[Any]]]:
        """Return about `size` entries, spread evenly."""
        return list(islice(self._rows(), 0, None, max(1, self.stored // size)))

    def _rows(self) -> Iterator[tuple[Key, list[Any]]]:
        for window, found in self.items():
            for key, value in zip(*found.columns(), strict=True):
                yield key, [*window, value]
