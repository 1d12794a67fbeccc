"""Mappings whose keys are compared as encoded, for ever or until they expire."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from enum import Enum, auto
from itertools import chain, islice
from typing import Any, TypeVar

from state.backend import Key
from state.keys import DISTINCT_TYPES, all_distinct_types, check_key, decode_key, encode_key

V = TypeVar("V")


class Part(Enum):
    """Which of the mappings of a `KeyMap` holds some keys."""

    DISTINCT = auto()
    BOOLS = auto()
    SEVERAL = auto()


def part_of(keys: Sequence[Key]) -> Part:
    """Say which mapping holds all these keys.

    Raises:
        StateError: one of them cannot be a key.
    """
    if all_distinct_types(keys):
        return Part.DISTINCT
    if set(map(type, keys)) == {bool}:
        return Part.BOOLS
    for key in keys:
        check_key(key)
    return Part.SEVERAL


class KeyMap(MutableMapping[Key, V]):
    """A mapping in which 1 and True are two keys.

    Keys that Python tells apart by itself share one dict, bools have another, and what is left
    (tuples with a bool or a tuple in them) is found by its encoding.
    """

    __slots__ = ("_bools", "_distinct", "_encoded")

    def __init__(self) -> None:
        self._distinct: dict[Key, V] = {}
        self._bools: dict[bool, V] = {}
        self._encoded: dict[bytes, V] = {}

    def batch(self, keys: Sequence[Key]) -> MutableMapping[Key, V]:
        """Return a mapping for these keys: a dict if one dict holds them all, else this one.

        Raises:
            StateError: one of them cannot be a key.
        """
        return self.part(part_of(keys))

    def all_of(self, kind: type) -> MutableMapping[Key, V] | None:
        """Return the dict that holds all keys of a type; None if that depends on the key."""
        if kind in DISTINCT_TYPES:
            return self._distinct
        return self._bools if kind is bool else None

    def part(self, part: Part) -> MutableMapping[Key, V]:
        """Return the mapping that holds the keys of a part."""
        if part is Part.DISTINCT:
            return self._distinct
        return self._bools if part is Part.BOOLS else self

    def columns(self) -> tuple[list[Key], list[V]]:
        """Return all keys and, in the same order, all values."""
        if len(self._distinct) == len(self):  # as nearly always, and much quicker than a chain
            return list(self._distinct), list(self._distinct.values())
        return list(self), list(self._in_order())

    def load(self, keys: Sequence[Key], values: Sequence[V]) -> None:
        """Add many entries."""
        self.batch(keys).update(zip(keys, values, strict=True))

    @property
    def stored(self) -> int:
        """How many entries take memory."""
        return len(self)

    def sample(self, size: int) -> list[tuple[Key, V]]:
        """Return about `size` entries, spread evenly."""
        every = max(1, len(self) // size)
        return list(islice(zip(self, self._in_order(), strict=True), 0, None, every))

    def __getitem__(self, key: Key) -> V:
        found, stored_key = self._place(key)
        return found[stored_key]

    def __setitem__(self, key: Key, value: V) -> None:
        found, stored_key = self._place(key)
        found[stored_key] = value

    def __delitem__(self, key: Key) -> None:
        found, stored_key = self._place(key)
        del found[stored_key]

    def __iter__(self) -> Iterator[Key]:
        return chain(self._distinct, self._bools, map(decode_key, self._encoded))

    def __len__(self) -> int:
        return len(self._distinct) + len(self._bools) + len(self._encoded)

    def clear(self) -> None:
        for found in (self._distinct, self._bools, self._encoded):
            found.clear()

    def _in_order(self) -> Iterator[V]:
        return chain(self._distinct.values(), self._bools.values(), self._encoded.values())

    def _place(self, key: Key) -> tuple[dict[Any, V], Any]:
        kind: Any = type(key)  # pyright: ignore[reportUnknownVariableType]
        if kind in DISTINCT_TYPES or (kind is tuple and DISTINCT_TYPES.issuperset(map(type, key))):
            return self._distinct, key
        if kind is bool:
            return self._bools, key
        return self._encoded, encode_key(key)


class ExpiringMap(MutableMapping[Key, V]):
    """A `KeyMap` whose entries vanish `ttl_ms` after they were last written.

    Args:
        ttl_ms: milliseconds.
        now_ms: the wall clock, since lifetimes continue while the job is down.
    """

    __slots__ = ("_now_ms", "_ttl_ms", "_values", "_written")

    def __init__(self, ttl_ms: int, now_ms: Callable[[], int]) -> None:
        self._values: KeyMap[V] = KeyMap()
        self._written: KeyMap[int] = KeyMap()
        self._ttl_ms = ttl_ms
        self._now_ms = now_ms

    def batch(self, keys: Sequence[Key]) -> MutableMapping[Key, V]:
        """Return a mapping for these keys, without those that have expired; all count as written now."""
        now = self._now_ms()
        for key in set(keys) if all_distinct_types(keys) else keys:
            if not self._is_alive(key, now):
                self._values.pop(key, None)
            self._written[key] = now
        return self._values.batch(keys)

    def all_of(self, kind: type) -> None:
        """There is none: the lifetimes of keys that are written restart."""

    def columns(self) -> tuple[list[Key], list[V], list[int]]:
        """Drop what has expired; return all keys, values and times of writing in the same order."""
        now = self._now_ms()
        for key in [key for key in self._written if not self._is_alive(key, now) or key not in self._values]:
            self._values.pop(key, None)
            del self._written[key]
        keys, values = self._values.columns()
        return keys, values, [self._written[key] for key in keys]

    def put(self, key: Key, value: V, written_ms: int) -> None:
        """Set a value as if it had been written at `written_ms`."""
        self._values[key] = value
        self._written[key] = written_ms

    @property
    def stored(self) -> int:
        """How many entries take memory; some may have expired."""
        return len(self._values)

    def sample(self, size: int) -> list[tuple[Key, V]]:
        """Return about `size` entries, spread evenly; some may have expired."""
        return self._values.sample(size)

    def __getitem__(self, key: Key) -> V:
        if not self._is_alive(key, self._now_ms()):
            raise KeyError(key)
        return self._values[key]

    def __setitem__(self, key: Key, value: V) -> None:
        self.put(key, value, self._now_ms())

    def __delitem__(self, key: Key) -> None:
        del self._values[key]
        self._written.pop(key, None)

    def __iter__(self) -> Iterator[Key]:
        now = self._now_ms()
        return iter([key for key in self._values if self._is_alive(key, now)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def clear(self) -> None:
        self._values.clear()
        self._written.clear()

    def _is_alive(self, key: Key, now_ms: int) -> bool:
        written = self._written.get(key)
        return written is not None and now_ms - written < self._ttl_ms
