"""The window state of the memory backend: a map of keys for each window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import Any

from state.backend import Key, WindowKey
from state.keymap import KeyMap, part_of
from state.keys import check_key
from state.memory_tables import Table, Trial
from state.snapshot import Columns
from state.windowmap import WindowMaps


class MemoryWindowTable:
    """Implements `state.backend.WindowTable` on a table whose entries are maps of windows."""

    def __init__(self, table: WindowEntries) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table.entries)

    def __contains__(self, window: object) -> bool:
        return window in self._table.entries

    def windows(self) -> Sequence[WindowKey]:
        return sorted(self._table.entries)

    def batch(self, keys: Sequence[Key]) -> Callable[[WindowKey], MutableMapping[Key, Any]]:
        maps, table, part = self._table.entries, self._table, part_of(keys)

        def open_window(window: WindowKey) -> MutableMapping[Key, Any]:
            found = maps.get(window)
            if found is None:
                found = maps[window] = KeyMap()
            mapping = found.part(part)
            return mapping if table.tested else Trial(mapping, table)

        return open_window

    def put(self, window: WindowKey, key: Key, value: Any) -> None:
        table = self._table
        if not table.tested:
            table.test(value)
        found = table.entries.get(window)
        if found is None:
            check_key(key)
            found = table.entries[window] = KeyMap()
        found[key] = value

    def remove(self, window: WindowKey, key: Key) -> None:
        found = self._table.entries.get(window)
        if found is not None:
            found.pop(key, None)
            if not found:
                del self._table.entries[window]

    def columns(self, window: WindowKey) -> tuple[Sequence[Key], Sequence[Any]]:
        return self._table.entries[window].columns()

    def drop(self, window: WindowKey) -> None:
        self._table.entries.pop(window, None)


class WindowEntries(Table):
    """The entries of a window state, and how they become columns of a snapshot."""

    entries: WindowMaps

    def readable(self, columns: Columns) -> Iterable[tuple[Key, Any]]:
        by_key: KeyMap[dict[WindowKey, Any]] = KeyMap()
        for key, (*window, value) in zip(columns.keys, columns.values, strict=True):
            by_key.setdefault(key, {})[tuple(window)] = value
        return by_key.items()

    def _new_entries(self) -> WindowMaps:
        return WindowMaps()
