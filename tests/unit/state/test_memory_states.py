"""The state objects of the memory backend: the key they speak of, and what is tested when."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.errors import EncodingError, StateError
from pipeline.testing.clock import ManualClock
from state.encoding import Codec
from state.memory_states import (
    CurrentKey,
    MemoryListState,
    MemoryMapState,
    MemoryReducingState,
    MemoryValueState,
)
from state.memory_tables import MapTable, Table


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def current() -> CurrentKey:
    key = CurrentKey("sum")
    key.set("a")
    return key


def table(clock: ManualClock, ttl: timedelta | None = None) -> Table:
    return Table("value", Codec("state 'x'"), ttl, clock)


def maps(clock: ManualClock, ttl: timedelta | None = None) -> MapTable:
    return MapTable("map", Codec("state 'x'"), ttl, clock)


def test_without_a_current_key_there_is_no_state(clock: ManualClock) -> None:
    nobody = CurrentKey("sum")
    states: list[Any] = [
        MemoryValueState(nobody, table(clock), None).value,
        MemoryListState(nobody, table(clock)).get,
        MemoryMapState(nobody, maps(clock)).is_empty,
        MemoryReducingState(nobody, table(clock), max).get,
        MemoryReducingState(nobody, table(clock), max).clear,
    ]
    for use in states:
        with pytest.raises(
            StateError, match="operator sum: keyed state was used without a current key"
        ) as refused:
            use()
        assert "key_by" in str(refused.value.hint)


def test_none_is_a_key_that_was_set_and_is_refused_as_one(clock: ManualClock) -> None:
    nobody = CurrentKey("sum")
    nobody.set(None)
    with pytest.raises(StateError, match="a key is a str, int"):
        MemoryValueState(nobody, table(clock), None).update(1)


def test_only_the_first_value_is_tested(
    clock: ManualClock, current: CurrentKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested: list[Any] = []
    monkeypatch.setattr(Codec, "check", lambda _, value: tested.append(value))
    value, items = MemoryValueState(current, table(clock), None), MemoryListState(current, table(clock))
    for number in range(3):
        value.update(number)
        items.add(number)
    assert list(map(type, tested)) == [int, list]


def test_a_value_that_was_refused_is_not_written(clock: ManualClock, current: CurrentKey) -> None:
    value: Any = MemoryValueState(current, table(clock), 7)
    items = MemoryListState(current, table(clock))
    entries = MemoryMapState(current, maps(clock))
    for write in (value.update, items.add, lambda bad: entries.put("k", bad)):
        with pytest.raises(EncodingError, match=r"state 'x': a builtins\.object cannot be stored"):
            write(object())
    assert (value.value(), list(items.get()), entries.is_empty()) == (7, [], True)


def test_a_map_read_while_time_passes_is_of_one_instant(current: CurrentKey) -> None:
    """An entry that expires while the others are listed does not break the listing."""

    class Running(ManualClock):
        def now_ms(self) -> int:
            self.advance(timedelta(milliseconds=10))
            return super().now_ms()

    entries = MemoryMapState(current, maps(Running(), timedelta(milliseconds=15)))
    for key in range(3):
        entries.put(key, key)
        assert [key for key, _ in entries.items()] == [key]
