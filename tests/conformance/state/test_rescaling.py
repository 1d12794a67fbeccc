"""Rescaling: at another parallelism each key's state is in the one subtask that owns its group."""

from __future__ import annotations

import io
from operator import add
from typing import Any

import pytest

from pipeline.core.errors import StateError
from state.backend import KeyedStateBackend
from state.descriptors import (
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)
from state.keys import groups_of, key_group, subtask_of

from .conftest import Subtasks, of, snapshot_of

VALUE = ValueStateDescriptor[Any](name="value")
LIST = ListStateDescriptor(name="list")
MAP = MapStateDescriptor(name="map")
SUM = ReducingStateDescriptor[int](name="sum", reduce=add)
KEYS: list[Any] = [
    *range(20),
    *(f"user-{n}" for n in range(20)),
    True,
    False,
    b"x",
    ("a", True),
    ("a", 1),
    2**70,
]


def owner(key: Any, parallelism: int) -> int:
    return subtask_of(key_group(key, 128), parallelism, 128)


def start(subtasks: Subtasks, parallelism: int, *parts: bytes) -> list[KeyedStateBackend]:
    return [subtasks.restored(*parts, groups=groups_of(n, parallelism, 128)) for n in range(parallelism)]


def write(backends: list[KeyedStateBackend], content: Any) -> None:
    for key in KEYS:
        backend = of(backends[owner(key, len(backends))], key)
        backend.value_state(VALUE).update((content, repr(key)))
        backend.list_state(LIST).add(content)
        backend.map_state(MAP).put(content, repr(key))
        backend.reducing_state(SUM).add(1)


def parts_of(backends: list[KeyedStateBackend]) -> list[bytes]:
    return [snapshot_of(backend) for backend in backends]


@pytest.mark.parametrize("before", [1, 2, 3, 128])
@pytest.mark.parametrize("after", [1, 2, 5])
def test_every_key_is_found_where_it_now_belongs(subtasks: Subtasks, before: int, after: int) -> None:
    """Once and only there, with all of its states, whatever the order of the parts."""
    backends = start(subtasks, before)
    write(backends, 1)
    for parts in (parts_of(backends), parts_of(backends)[::-1]):
        restored = start(subtasks, after, *parts)
        for key in KEYS:
            backend = of(restored[owner(key, after)], key)
            assert backend.value_state(VALUE).value() == (1, repr(key))
            assert list(backend.list_state(LIST).get()) == [1]
            assert list(backend.map_state(MAP).items()) == [(1, repr(key))]
            assert backend.reducing_state(SUM).get() == 1
        for backend in restored:
            for name in ("value", "list", "sum"):
                backend.table(VALUE if name == "value" else LIST if name == "list" else SUM)
        for name in ("value", "list", "sum"):
            found = [repr(key) for backend in restored for key, _ in backend.entries(name)]
            assert sorted(found) == sorted(map(repr, KEYS))


def test_down_and_up_again(subtasks: Subtasks) -> None:
    """Over several parallelisms, writing between them, nothing is lost, doubled or out of date."""
    parts: list[bytes] = []
    for number, parallelism in enumerate((1, 4, 2, 3, 1)):
        backends = start(subtasks, parallelism, *parts)
        write(backends, number)
        parts = parts_of(backends)
    final = subtasks.restored(*parts)
    for key in KEYS:
        of(final, key)
        assert final.value_state(VALUE).value() == (4, repr(key))
        assert list(final.list_state(LIST).get()) == [0, 1, 2, 3, 4]
        assert sorted(final.map_state(MAP).keys()) == [0, 1, 2, 3, 4]
        assert final.reducing_state(SUM).get() == 5


@pytest.mark.parametrize("naming", [0, 1])
def test_a_state_that_only_one_subtask_names_is_not_set_back(subtasks: Subtasks, naming: int) -> None:
    """The other still has the section it was restored from, with keys that are no longer its own."""
    backends = start(subtasks, 1)
    write(backends, "old")
    for after in (1, 2, 3):
        backends = start(subtasks, 2, *parts_of(backends))
        for key in KEYS:
            if owner(key, 2) == naming:
                backend = of(backends[naming], key)
                backend.value_state(VALUE).update("new")
                backend.map_state(MAP).remove("old")
        for parts in (parts_of(backends), parts_of(backends)[::-1]):
            restored = start(subtasks, after, *parts)
            for key in KEYS:
                backend = of(restored[owner(key, after)], key)
                fresh = owner(key, 2) == naming
                assert backend.value_state(VALUE).value() == ("new" if fresh else ("old", repr(key)))
                assert backend.map_state(MAP).is_empty() is fresh


def test_a_state_that_nobody_names_is_there_at_the_end(subtasks: Subtasks) -> None:
    """Carried through every parallelism without being read."""
    backends = start(subtasks, 1)
    write(backends, 1)
    for parallelism in (3, 2, 5, 1):
        backends = start(subtasks, parallelism, *parts_of(backends))
    for key in KEYS:
        of(backends[0], key)
        assert backends[0].value_state(VALUE).value() == (1, repr(key))
        assert list(backends[0].list_state(LIST).get()) == [1]


def test_parts_of_other_groups_alone_hold_nothing(subtasks: Subtasks) -> None:
    backends = start(subtasks, 2)
    write(backends, 1)
    restored = subtasks.restored(snapshot_of(backends[1]), groups=groups_of(0, 2, 128))
    restored.value_state(VALUE)
    assert list(restored.entries("value")) == []


def test_the_number_of_groups_is_for_life(subtasks: Subtasks) -> None:
    stored = snapshot_of(subtasks.make())
    with pytest.raises(StateError, match="stored with max_parallelism 128, the job has 64") as refused:
        subtasks.make(range(64), max_parallelism=64).restore([io.BytesIO(stored)])
    assert "set max_parallelism=128" in str(refused.value.hint)
