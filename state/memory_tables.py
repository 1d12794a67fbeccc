"""One state of the memory backend: its entries, and how they become columns of a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from datetime import timedelta
from typing import Any, Final

from pipeline.core.clock import Clock
from pipeline.core.durations import whole_ms
from pipeline.core.errors import StateError
from state.backend import Key
from state.encoding import Codec
from state.keymap import ExpiringMap, KeyMap
from state.keys import encode_keys
from state.snapshot import Columns
from state.windowmap import WindowMaps

_SAMPLE: Final = 64
"""Entries looked at to estimate a table's size."""
_ENTRY_BYTES: Final = 200
"""What a key, a value and their place in a dict take beside their content, roughly."""

LivingMap = KeyMap[Any] | ExpiringMap[Any]
Entries = LivingMap | WindowMaps


class Table:
    """The entries of a value, list, reducing or aggregating state.

    Args:
        kind: the kind of state, as a snapshot names it.
        codec: stores the values.
        ttl: how long an entry lives after it was last written.
        clock: tells the time for that.

    Attributes:
        tested: whether a value has been found storable; only the first is tried.
    """

    def __init__(self, kind: str, codec: Codec, ttl: timedelta | None, clock: Clock) -> None:
        self.kind = kind
        self.codec = codec
        self.tested = False
        self._ttl = ttl
        self._clock = clock
        self.entries = self._new_entries()

    def batch(self, keys: Sequence[Key]) -> MutableMapping[Key, Any]:
        """Return the mapping in which an operator finds and puts the values of `keys`."""
        found = self.entries.batch(keys)
        return found if self.tested else Trial(found, self)

    def all_of(self, kind: type) -> MutableMapping[Key, Any] | None:
        """Return the mapping of all keys of a type, if there is one."""
        found = self.entries.all_of(kind)
        return found if self.tested or found is None else Trial(found, self)

    def test(self, value: Any) -> None:
        """Refuse a value that no checkpoint could store; asked for the first one only."""
        if not self.tested:
            self.codec.check(value)
            self.tested = True

    def columns(self) -> Columns:
        """Return all living entries in the form that a snapshot stores."""
        return Columns(*self.entries.columns())

    def load(self, columns: Columns) -> None:
        """Add restored entries; the life of those stored without a time begins now."""
        if isinstance(self.entries, ExpiringMap):
            written = columns.written or [self._clock.now_ms()] * len(columns.keys)
            for key, value, at in zip(columns.keys, columns.values, written, strict=True):
                self.entries.put(key, value, at)
        else:
            self.entries.load(columns.keys, columns.values)

    def readable(self, columns: Columns) -> Iterable[tuple[Key, Any]]:
        """Turn the columns into keys and what users know as their values."""
        return zip(columns.keys, columns.values, strict=True)

    def size_bytes(self) -> int:
        """Estimate the memory taken, from a sample spread over the entries."""
        sample = self.entries.sample(_SAMPLE)
        if not sample:
            return 0
        keys, values = zip(*sample, strict=True)
        encoded = len(encode_keys(keys)) + len(self.codec.encode(self._storable(values)))
        return self.entries.stored * (_ENTRY_BYTES + encoded // len(sample))

    def _storable(self, values: Sequence[Any]) -> Sequence[Any]:
        return values

    def _new_entries(self) -> Entries:
        return self._new_map()

    def _new_map(self) -> LivingMap:
        if self._ttl is None:
            return KeyMap()
        return ExpiringMap(whole_ms(self._ttl), self._clock.now_ms)


class MapTable(Table):
    """The maps of a map state; each entry of a map lives and expires on its own."""

    entries: KeyMap[LivingMap]

    def map_of(self, key: Key) -> LivingMap:
        """Return the map of `key`, an empty one if it has none yet."""
        found = self.entries.get(key)
        if found is None:
            found = self.entries[key] = self._new_map()
        return found

    def batch(self, keys: Sequence[Key]) -> MutableMapping[Key, Any]:
        raise StateError(
            "a map state cannot be read by batch", hint="use map_state(), or a value state that holds a dict"
        )

    def all_of(self, kind: type) -> None:
        """There is none: `batch` says why."""

    def columns(self) -> Columns:
        keys, maps = self.entries.columns()
        living = Columns([], [])
        for key, rows in zip(keys, self._storable(maps), strict=True):
            if rows:
                living.keys.append(key)
                living.values.append(rows)
            else:  # all of it was removed or has expired
                del self.entries[key]
        return living

    def load(self, columns: Columns) -> None:
        for key, rows in zip(columns.keys, columns.values, strict=True):
            found = self.map_of(key)
            for item_key, value, *written in rows:
                if isinstance(found, ExpiringMap) and written:
                    found.put(item_key, value, written[0])
                else:
                    found[item_key] = value

    def readable(self, columns: Columns) -> Iterable[tuple[Key, Any]]:
        return (
            (key, {row[0]: row[1] for row in rows})
            for key, rows in zip(columns.keys, columns.values, strict=True)
        )

    def _new_entries(self) -> Entries:
        return KeyMap()

    def _storable(self, values: Sequence[Any]) -> Sequence[Any]:
        """Return for each map its rows: key, value and, with TTL, when it was written."""
        return [[list(row) for row in zip(*found.columns(), strict=True)] for found in values]


class Trial(MutableMapping[Key, Any]):
    """Hands out `found` until a first value has been written, which it tests."""

    __slots__ = ("_found", "_table")

    def __init__(self, found: MutableMapping[Key, Any], table: Table) -> None:
        self._found = found
        self._table = table

    def __getitem__(self, key: Key) -> Any:
        return self._found[key]

    def __setitem__(self, key: Key, value: Any) -> None:
        self._table.test(value)
        self._found[key] = value

    def __delitem__(self, key: Key) -> None:
        del self._found[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
