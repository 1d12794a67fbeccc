"""The state objects of the memory backend: each speaks of the current key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, Generic, TypeVar

from pipeline.core.errors import StateError
from state.backend import Key
from state.descriptors import AggregateFunction
from state.memory_tables import Entries, MapTable, Table

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")

_ABSENT: Final[Any] = object()


class CurrentKey:
    """The key that the state objects of one backend speak of."""

    __slots__ = ("_key", "_uid")

    def __init__(self, uid: str) -> None:
        self._uid = uid
        self._key: Key = _ABSENT

    def set(self, key: Key) -> None:
        """Speak of `key` from now on."""
        self._key = key

    def get(self) -> Key:
        """Return the key, or refuse if there was none yet."""
        if self._key is _ABSENT:
            raise StateError(
                f"operator {self._uid}: keyed state was used without a current key",
                hint="use it downstream of key_by, after set_current_key",
            )
        return self._key


class _State:
    """What all kinds have: a table, and the entry of the current key in it."""

    __slots__ = ("_current", "_table")

    def __init__(self, current: CurrentKey, table: Table) -> None:
        self._current = current
        self._table = table

    def clear(self) -> None:
        """Forget the entry of the current key."""
        self._table.entries.pop(self._current.get(), None)

    def _read(self, default: Any = None) -> Any:
        return self._table.entries.get(self._current.get(), default)

    def _write(self, value: Any) -> None:
        self._table.test(value)
        self._table.entries[self._current.get()] = value


class MemoryValueState(_State, Generic[T]):
    """One value."""

    __slots__ = ("_default",)

    def __init__(self, current: CurrentKey, table: Table, default: T | None) -> None:
        super().__init__(current, table)
        self._default = default

    def value(self) -> T | None:
        return self._read(self._default)

    def update(self, value: T) -> None:
        self._write(value)


class MemoryListState(_State):
    """A list."""

    __slots__ = ()

    def get(self) -> Sequence[Any]:
        return [*self._read(())]

    def add(self, value: Any) -> None:
        known: list[Any] | None = self._read()
        if known is None:
            self._write([value])
        else:
            known.append(value)
            self._write(known)  # its lifetime, if it has one, restarts

    def update(self, values: Iterable[Any]) -> None:
        self._write(list(values))


class MemoryMapState(_State):
    """A map; writing an entry of it renews the life of that entry only."""

    __slots__ = ("_maps",)

    def __init__(self, current: CurrentKey, table: MapTable) -> None:
        super().__init__(current, table)
        self._maps = table

    def get(self, key: Key, default: Any = None) -> Any:
        found = self._read()
        return default if found is None else found.get(key, default)

    def put(self, key: Key, value: Any) -> None:
        self._table.test(value)
        self._maps.map_of(self._current.get())[key] = value

    def remove(self, key: Key) -> None:
        found = self._read()
        if found is not None:
            found.pop(key, None)

    def contains(self, key: Key) -> bool:
        return key in self._read(())

    def items(self) -> Iterator[tuple[Key, Any]]:
        found: Entries | None = self._read()
        if found is None:
            return iter(())
        keys, values, *_ = found.columns()
        return zip(keys, values, strict=True)

    def keys(self) -> Iterator[Key]:
        return (key for key, _ in self.items())

    def values(self) -> Iterator[Any]:
        return (value for _, value in self.items())

    def is_empty(self) -> bool:
        return not self._read(())


class MemoryReducingState(_State, Generic[T]):
    """One value into which each value added is folded."""

    __slots__ = ("_reduce",)

    def __init__(self, current: CurrentKey, table: Table, reduce: Callable[[T, T], T]) -> None:
        super().__init__(current, table)
        self._reduce = reduce

    def add(self, value: T) -> None:
        known = self._read(_ABSENT)
        self._write(value if known is _ABSENT else self._reduce(known, value))

    def get(self) -> T | None:
        return self._read()


class MemoryAggregatingState(_State, Generic[In, Out]):
    """An accumulator into which each value added is taken."""

    __slots__ = ("_aggregate",)

    def __init__(self, current: CurrentKey, table: Table, aggregate: AggregateFunction[In, Any, Out]) -> None:
        super().__init__(current, table)
        self._aggregate = aggregate

    def add(self, value: In) -> None:
        known = self._read(_ABSENT)
        accumulator = self._aggregate.create_accumulator() if known is _ABSENT else known
        self._write(self._aggregate.add(value, accumulator))

    def get(self) -> Out | None:
        known = self._read(_ABSENT)
        return None if known is _ABSENT else self._aggregate.get_result(known)
