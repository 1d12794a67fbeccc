"""Keys: how they are compared, encoded and spread over key groups and subtasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from operator import countOf
from typing import Any, Final

from xxhash import xxh64_intdigest

from pipeline.core.errors import StateError
from state.backend import Key
from state.encoding.binary import BINARY, UNDECLARED, UNPACKABLE, pack, unpack
from state.encoding.lowering import lower, naming

DISTINCT_TYPES: Final = frozenset({str, int, bytes})
"""Values of these types, and flat tuples of them, are equal exactly if their encodings are: one
dict may hold them all. The other keys hold a bool somewhere, which Python takes for 0 or 1."""

CACHED_KEYS: Final = 65_536
"""How many keys' groups are remembered for each type of key: a few MB."""

MAX_KEY_DEPTH: Final = 32

_FORMS: Final = "a key is a str, int, bytes, bool or a tuple of them"


def encode_key(key: Key) -> bytes:
    """Return the bytes by which keys are compared, grouped and stored: 1 and True differ.

    Raises:
        StateError: it is none of str, int, bytes, bool and tuples of them.
    """
    check_key(key)
    try:
        return pack(key)
    except UNPACKABLE:
        return pack(_lowered(key))


def decode_key(data: bytes) -> Key:
    """Return the key that `encode_key` was given."""
    with naming("key", "stored bytes cannot be read"):
        return _raised(unpack(data))


def encode_keys(keys: Sequence[Key]) -> bytes:
    """Encode many keys at once; they have been checked when they were first used."""
    try:
        return pack(keys)
    except UNPACKABLE:
        return pack([_lowered(key) for key in keys])


def decode_keys(data: bytes) -> list[Key]:
    """Return the keys that `encode_keys` was given."""
    with naming("keys", "stored bytes cannot be read"):
        keys = unpack(data)
        return [_raised(key) for key in keys] if list in set(map(type, keys)) else keys


def check_key(key: Key, depth: int = 0) -> None:
    """Refuse what cannot be a key, with a `StateError` that says why."""
    kind: Any = type(key)  # pyright: ignore[reportUnknownVariableType]
    if kind in DISTINCT_TYPES or kind is bool:
        return
    if kind is tuple and depth < MAX_KEY_DEPTH:
        for item in key:
            check_key(item, depth + 1)
        return
    if kind is tuple:
        raise StateError(f"{_FORMS}, found tuples nested more than {MAX_KEY_DEPTH} deep")
    raise StateError(f"{_FORMS}, found {key!r} of type {kind.__qualname__}", hint=_HINTS.get(kind, _ANY_HINT))


_ANY_HINT: Final = "let the key selector return one of these, such as str(key) or a tuple of its parts"
_HINTS: Final[dict[type, str]] = {
    float: "floats make no reliable keys: round to an int, or use str(key)",
    list: "return a tuple instead of a list",
    type(None): "filter out the records without a key, or give them a key such as ''",
}


def _lowered(key: Key) -> Any:
    """Tag what msgpack cannot hold; a tuple stays an array, since no key holds a list."""
    if type(key) is tuple:
        return list(map(_lowered, key))  # pyright: ignore[reportUnknownArgumentType]
    return lower(key, BINARY, UNDECLARED)


def _raised(key: Any) -> Key:
    if type(key) is list:
        return tuple(map(_raised, key))  # pyright: ignore[reportUnknownArgumentType]
    return key


def all_distinct_types(keys: Sequence[Key]) -> bool:
    """Whether one dict may hold all of these (see `DISTINCT_TYPES`), found out at C speed."""
    first: Any = type(keys[0]) if keys else str  # pyright: ignore[reportUnknownVariableType]
    if first in DISTINCT_TYPES and countOf(map(type, keys), first) == len(keys):
        return True  # the usual case, in two thirds of the time of a set
    kinds = set(map(type, keys))
    if kinds == {tuple}:
        kinds = set(map(type, chain.from_iterable(keys)))
    return kinds <= DISTINCT_TYPES


def key_group(key: Key, max_parallelism: int) -> int:
    """Return the key's group, 0 to `max_parallelism` - 1; the same in every process."""
    return xxh64_intdigest(encode_key(key)) % max_parallelism


def key_groups(keys: Sequence[Key], max_parallelism: int) -> list[int]:
    """Return the group of each key; those of frequent keys come from a bounded cache.

    Raises:
        StateError: one of them cannot be a key.
    """
    if all_distinct_types(keys):
        cache = _group_cache(max_parallelism)
        return [cache[key] for key in keys]
    return [key_group(key, max_parallelism) for key in keys]


class _GroupCache(dict[Key, int]):
    """Groups by key. Once full it takes nothing up until it has been of no use for long, then starts over."""

    __slots__ = ("_max_parallelism", "_misses")

    def __init__(self, max_parallelism: int) -> None:
        super().__init__()
        self._max_parallelism = max_parallelism
        self._misses = 0

    def __missing__(self, key: Key) -> int:
        group = key_group(key, self._max_parallelism)
        if len(self) >= CACHED_KEYS:
            self._misses += 1
            if self._misses < CACHED_KEYS:
                return group
            self._misses = 0
            self.clear()
        self[key] = group
        return group


_group_cache: Final[Callable[[int], _GroupCache]] = lru_cache(maxsize=8)(_GroupCache)


def groups_of(subtask: int, parallelism: int, max_parallelism: int) -> range:
    """Return the key groups that a subtask owns; Flink's formula, consistent with `subtask_of`."""
    start = (subtask * max_parallelism + parallelism - 1) // parallelism
    end = ((subtask + 1) * max_parallelism - 1) // parallelism
    return range(start, end + 1)


def subtask_of(group: int, parallelism: int, max_parallelism: int) -> int:
    """Return the subtask that owns a key group."""
    return group * parallelism // max_parallelism
