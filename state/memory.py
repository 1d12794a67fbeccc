"""The memory backend: keyed state in dicts, encoded as a whole at each checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar, cast

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import StateError
from state.backend import (
    FoldingState,
    Key,
    ListState,
    MapState,
    Readable,
    StateTable,
    ValueState,
    WindowTable,
)
from state.descriptors import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    ValueStateDescriptor,
    WindowStateDescriptor,
)
from state.encoding import Codec
from state.memory_states import (
    CurrentKey,
    MemoryAggregatingState,
    MemoryListState,
    MemoryMapState,
    MemoryReducingState,
    MemoryValueState,
)
from state.memory_tables import MapTable, Table
from state.memory_windows import MemoryWindowTable, WindowEntries
from state.snapshot import EncodedSnapshot, Section, narrowed, read_part, read_section, write_section

T = TypeVar("T")
In = TypeVar("In")
Out = TypeVar("Out")

KINDS: Final[dict[type[StateDescriptor], str]] = {
    ValueStateDescriptor: "value",
    ListStateDescriptor: "list",
    MapStateDescriptor: "map",
    ReducingStateDescriptor: "reducing",
    AggregatingStateDescriptor: "aggregating",
    WindowStateDescriptor: "window",
}
"""The names of the kinds of state in a snapshot."""

_TABLES: Final[dict[str, type[Table]]] = {"map": MapTable, "window": WindowEntries}
"""The kinds of state that have more than one value per key."""


class MemoryStateBackend:
    """Keyed state of one subtask, all in memory (see `KeyedStateBackend` for the contract).

    A restored state is decoded when the operator first names it; one that the operator has not
    named yet is stored again as it came.

    Args:
        uid: the operator, for error messages.
        key_groups: the half-open range of groups this subtask owns, out of `max_parallelism`.
        clock: tells the wall time by which entries expire.
    """

    def __init__(self, uid: str, key_groups: range, max_parallelism: int, clock: Clock) -> None:
        self._uid = uid
        self._key_groups = key_groups
        self._max_parallelism = max_parallelism
        self._clock = clock
        self._current = CurrentKey(uid)
        self._tables: dict[str, Table] = {}
        self._unnamed: dict[str, list[Section]] = {}

    def set_current_key(self, key: Key) -> None:
        self._current.set(key)

    def value_state(self, descriptor: ValueStateDescriptor[T]) -> ValueState[T]:
        return MemoryValueState(self._current, self._table(descriptor), descriptor.default)

    def list_state(self, descriptor: ListStateDescriptor) -> ListState[Any]:
        return MemoryListState(self._current, self._table(descriptor))

    def map_state(self, descriptor: MapStateDescriptor) -> MapState[Any, Any]:
        return MemoryMapState(self._current, cast("MapTable", self._table(descriptor)))

    def reducing_state(self, descriptor: ReducingStateDescriptor[T]) -> FoldingState[T, T]:
        return MemoryReducingState(self._current, self._table(descriptor), descriptor.reduce)

    def aggregating_state(
        self, descriptor: AggregatingStateDescriptor[In, Any, Out]
    ) -> FoldingState[In, Out]:
        return MemoryAggregatingState(self._current, self._table(descriptor), descriptor.aggregate)

    def table(self, descriptor: StateDescriptor) -> StateTable[Any]:
        return self._table(descriptor)

    def window_table(self, descriptor: WindowStateDescriptor) -> WindowTable[Any]:
        return MemoryWindowTable(cast("WindowEntries", self._table(descriptor)))

    def entries(self, name: str) -> Iterator[tuple[Key, Any]]:
        table = self._tables.get(name)
        if table is None:
            known = ", ".join(sorted(self._tables)) or "none"
            raise StateError(f"operator {self._uid} has no state {name!r}; it has named: {known}")
        return iter(table.readable(table.columns()))

    def names(self) -> Sequence[str]:
        return list(self._tables)

    def snapshot(self) -> EncodedSnapshot:
        sections = [section for stored in self._unnamed.values() for section in stored]
        for name, table in self._tables.items():
            columns = table.columns()
            sections.append(write_section(name, table.kind, self._key_groups, columns, table.codec))
        return EncodedSnapshot(self._uid, self._max_parallelism, sections)

    def restore(self, parts: Sequence[Readable]) -> None:
        read = [read_part(part.read(), self._uid, self._max_parallelism) for part in parts]
        self._unnamed = {}
        for table in self._tables.values():
            table.entries.clear()
        for stored in (section for part in read for section in part.sections):
            section = narrowed(stored, self._key_groups)
            if section is not None:
                self._unnamed.setdefault(section.name, []).append(section)
        for name, table in self._tables.items():
            self._load(name, table)

    def size_bytes(self) -> int:
        waiting = sum(len(section.values) for stored in self._unnamed.values() for section in stored)
        return waiting + sum(table.size_bytes() for table in self._tables.values())

    def close(self) -> None:
        self._tables.clear()
        self._unnamed.clear()

    def _table(self, descriptor: StateDescriptor) -> Table:
        kind = KINDS[type(descriptor)]
        table = self._tables.get(descriptor.name)
        if table is None:
            table = self._create_table(descriptor, kind)
            self._load(descriptor.name, table)
            self._tables[descriptor.name] = table
        elif table.kind != kind:
            raise StateError(
                f"operator {self._uid}: state {descriptor.name!r} is used as {table.kind} and as {kind}",
                hint="give each state of an operator its own name",
            )
        return table

    def _create_table(self, descriptor: StateDescriptor, kind: str) -> Table:
        owner = f"state {descriptor.name!r} of operator {self._uid}"
        codec = Codec(owner, descriptor.value_type, pickle=descriptor.pickle)
        return _TABLES.get(kind, Table)(kind, codec, descriptor.ttl, self._clock)

    def _load(self, name: str, table: Table) -> None:
        """Decode what was restored for a state; it stays where it was if that fails."""
        stored = self._unnamed.get(name, ())
        for section in stored:
            if section.kind != table.kind:
                raise StateError(
                    f"operator {self._uid}: state {name!r} was stored as {section.kind}, "
                    f"the job now uses it as {table.kind}",
                    hint="give the new state another name, or start over with --fresh",
                )
        for section in stored:
            table.load(read_section(section, table.codec, self._max_parallelism))
        self._unnamed.pop(name, None)


class MemoryStateBackendFactory:
    """Makes memory backends; they share nothing but the clock."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def create(self, uid: str, key_groups: range, max_parallelism: int) -> MemoryStateBackend:
        """Make the backend of one subtask."""
        return MemoryStateBackend(uid, key_groups, max_parallelism, self._clock)
