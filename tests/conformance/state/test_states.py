"""The five kinds of state: what each holds for the current key."""

from __future__ import annotations

from operator import add
from typing import Any

import pytest

from pipeline.core.errors import StateError
from state.backend import KeyedStateBackend
from state.descriptors import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)

from .conftest import Averaging, Subtasks, of

VALUE = ValueStateDescriptor[Any](name="value")
LIST = ListStateDescriptor(name="list")
MAP = MapStateDescriptor(name="map")
SUM = ReducingStateDescriptor[Any](name="sum", reduce=add)
MEAN = AggregatingStateDescriptor[int, list[int], float](name="mean", aggregate=Averaging())


# --- one value ---


def test_a_value_is_none_until_it_is_written(backend: KeyedStateBackend) -> None:
    state = backend.value_state(VALUE)
    assert state.value() is None
    state.update(1)
    state.update(2)
    assert state.value() == 2
    state.clear()
    assert state.value() is None


def test_a_value_that_was_never_written_is_the_default(backend: KeyedStateBackend) -> None:
    """The default is not an entry: it is neither listed nor stored."""
    descriptor = ValueStateDescriptor(name="value", default=7)
    state = backend.value_state(descriptor)
    assert state.value() == 7
    assert list(backend.entries("value")) == []
    state.update(8)
    state.clear()
    assert state.value() == 7


def test_none_can_be_a_value(backend: KeyedStateBackend) -> None:
    """Once written, it overrides the default and is an entry."""
    state = backend.value_state(ValueStateDescriptor[Any](name="value", default=7))
    state.update(None)
    assert state.value() is None
    assert list(backend.entries("value")) == [("a", None)]


# --- a list ---


def test_a_list_grows_in_order(backend: KeyedStateBackend) -> None:
    state = backend.list_state(LIST)
    assert list(state.get()) == []
    state.add(1)
    state.add(None)
    state.add(1)
    assert list(state.get()) == [1, None, 1]
    state.clear()
    assert list(state.get()) == []


def test_a_list_is_replaced_as_a_whole(backend: KeyedStateBackend) -> None:
    """From any iterable, even what its own `get` returned; and it is no longer bound to it."""
    state = backend.list_state(LIST)
    given = [3, 1]
    state.update(given)
    given.append(9)
    state.add(2)
    assert list(state.get()) == [3, 1, 2]
    state.update(sorted(state.get()))
    assert list(state.get()) == [1, 2, 3]
    state.update(value * 2 for value in state.get())
    assert list(state.get()) == [2, 4, 6]
    state.update([])
    assert list(state.get()) == []


def test_a_list_may_be_written_while_it_is_gone_through(backend: KeyedStateBackend) -> None:
    """What `get` returned is of its moment: no endless loop, nothing skipped."""
    state = backend.list_state(LIST)
    state.update([1, 2, 3])
    before = state.get()
    for value in before:
        state.add(value * 10)
    assert list(before) == [1, 2, 3]
    assert list(state.get()) == [1, 2, 3, 10, 20, 30]
    for _ in state.get():
        state.clear()
    assert list(state.get()) == []


# --- a map ---


def test_a_map_maps(backend: KeyedStateBackend) -> None:
    state = backend.map_state(MAP)
    assert (state.is_empty(), state.contains("k"), state.get("k"), state.get("k", 7)) == (
        True,
        False,
        None,
        7,
    )
    assert (list(state.items()), list(state.keys()), list(state.values())) == ([], [], [])
    state.put("k", 1)
    state.put("l", None)
    state.put("k", 2)
    assert (state.is_empty(), state.contains("k"), state.contains("m")) == (False, True, False)
    assert (state.get("k"), state.get("l", 7), state.get("m", 7)) == (2, None, 7)
    assert sorted(state.items()) == [("k", 2), ("l", None)]
    assert (sorted(state.keys()), set(state.values())) == (["k", "l"], {2, None})
    state.remove("k")
    state.remove("never there")
    assert list(state.items()) == [("l", None)]
    state.clear()
    assert state.is_empty()


def test_a_map_without_entries_is_not_an_entry_of_the_state(backend: KeyedStateBackend) -> None:
    state = backend.map_state(MAP)
    state.put("k", 1)
    state.remove("k")
    assert state.is_empty()
    of(backend, "b").map_state(MAP).remove("k")
    assert list(backend.entries("map")) == []


def test_a_map_may_be_written_while_it_is_gone_through(backend: KeyedStateBackend) -> None:
    """Each of its views is of the moment of the call."""
    state = backend.map_state(MAP)
    for key in range(3):
        state.put(key, key)
    for key, value in state.items():
        state.put(key + 10, value)
        state.remove(key)
    assert sorted(state.items()) == [(10, 0), (11, 1), (12, 2)]
    views: list[Any] = [state.items(), state.keys(), state.values()]
    state.clear()
    assert [sorted(view) for view in views] == [[(10, 0), (11, 1), (12, 2)], [10, 11, 12], [0, 1, 2]]


def test_the_keys_of_a_map_are_compared_as_keys_are(backend: KeyedStateBackend) -> None:
    state = backend.map_state(MAP)
    kinds = [1, True, "1", b"1", (1,), (True,), ((True,),), 0, False, 2**70]
    for number, key in enumerate(kinds):
        state.put(key, number)
    assert [state.get(key) for key in kinds] == list(range(len(kinds)))
    assert sorted(map(repr, state.keys())) == sorted(map(repr, kinds))
    state.remove(True)
    assert (state.contains(True), state.contains(1)) == (False, True)


@pytest.mark.parametrize("key", [1.0, None, [1]], ids=repr)
def test_what_is_not_a_key_is_not_a_key_of_a_map(backend: KeyedStateBackend, key: Any) -> None:
    with pytest.raises(StateError, match="a key is a str, int, bytes, bool or a tuple of them"):
        backend.map_state(MAP).put(key, 1)


# --- folding ---


def test_reducing_begins_with_the_first_value(backend: KeyedStateBackend) -> None:
    state = backend.reducing_state(SUM)
    assert state.get() is None
    state.add("a")
    state.add("b")
    assert state.get() == "ab"
    state.clear()
    assert state.get() is None
    state.add("c")
    assert state.get() == "c"


def test_reducing_takes_none_for_a_value(backend: KeyedStateBackend) -> None:
    """`reduce` gets it, and what was reduced to None continues from there."""
    seen: list[Any] = []

    def last(known: Any, value: Any) -> Any:
        seen.append((known, value))
        return value

    state = backend.reducing_state(ReducingStateDescriptor[Any](name="last", reduce=last))
    for value in (None, 1, None, 2):
        state.add(value)
    assert seen == [(None, 1), (1, None), (None, 2)]


def test_aggregating_returns_the_result_of_what_was_added(backend: KeyedStateBackend) -> None:
    """Stored is the accumulator; each key has one of its own."""
    state = backend.aggregating_state(MEAN)
    assert state.get() is None
    state.add(1)
    state.add(4)
    assert state.get() == 2.5
    backend.set_current_key("b")
    assert state.get() is None
    state.add(7)
    assert state.get() == 7
    assert dict(backend.entries("mean")) == {"a": [5, 2], "b": [7, 1]}
    state.clear()
    assert state.get() is None
    backend.set_current_key("a")
    assert state.get() == 2.5


def test_a_fold_that_raises_changes_nothing(backend: KeyedStateBackend) -> None:
    state = backend.reducing_state(SUM)
    state.add(1)
    with pytest.raises(TypeError):
        state.add("a")
    assert state.get() == 1


# --- all of them ---


def test_states_are_apart_by_name_and_key(backend: KeyedStateBackend) -> None:
    """An object of a state speaks of whatever key is current, and only of its own state."""
    value, items, entries = backend.value_state(VALUE), backend.list_state(LIST), backend.map_state(MAP)
    other = backend.value_state(ValueStateDescriptor[Any](name="other"))
    for key in ("a", "b", "c"):
        backend.set_current_key(key)
        value.update(key)
        items.add(key)
        entries.put("k", key)
    of(backend, "b")
    for state in (value, items, entries):
        state.clear()
    for key, expected in (("a", ("a", ["a"], "a")), ("b", (None, [], None)), ("c", ("c", ["c"], "c"))):
        backend.set_current_key(key)
        assert (value.value(), list(items.get()), entries.get("k")) == expected
        assert other.value() is None


def test_asking_again_for_a_state_returns_the_same_state(backend: KeyedStateBackend) -> None:
    backend.value_state(VALUE).update(1)
    assert backend.value_state(VALUE).value() == 1
    assert list(backend.names()) == ["value"]


def test_names_and_entries_are_those_of_the_operator(backend: KeyedStateBackend) -> None:
    """For the final state: as stored, a map as a dict."""
    assert list(backend.names()) == []
    for key in ("a", "b"):
        of(backend, key).value_state(VALUE).update(key * 2)
        backend.list_state(LIST).add(key)
        backend.map_state(MAP).put(key, 1)
        backend.reducing_state(SUM).add(key)
    assert sorted(backend.names()) == ["list", "map", "sum", "value"]
    assert dict(backend.entries("value")) == {"a": "aa", "b": "bb"}
    assert {key: list(items) for key, items in backend.entries("list")} == {"a": ["a"], "b": ["b"]}
    assert dict(backend.entries("map")) == {"a": {"a": 1}, "b": {"b": 1}}
    assert dict(backend.entries("sum")) == {"a": "a", "b": "b"}


def test_entries_are_those_of_the_moment(backend: KeyedStateBackend) -> None:
    state = backend.value_state(VALUE)
    for key in range(5):
        of(backend, key)
        state.update(key)
    for key, value in backend.entries("value"):
        of(backend, key)
        state.clear()
        of(backend, key + 10)
        state.update(value)
    assert dict(backend.entries("value")) == {key + 10: key for key in range(5)}


def test_subtasks_share_nothing(subtasks: Subtasks) -> None:
    one, other = subtasks.make(range(64)), subtasks.make(range(64, 128))
    of(one, "a").value_state(VALUE).update(1)
    assert of(other, "a").value_state(VALUE).value() is None


def test_the_size_follows_what_is_held(backend: KeyedStateBackend) -> None:
    """An estimate: nothing is nothing, and a megabyte is about a megabyte."""
    assert backend.size_bytes() == 0
    state = backend.value_state(VALUE)
    for key in range(100):
        of(backend, key)
        state.update("x" * 10_000)
    assert 900_000 < backend.size_bytes() < 2_000_000


def test_without_a_current_key_there_is_no_state(subtasks: Subtasks) -> None:
    fresh = subtasks.make()
    with pytest.raises(StateError, match="operator sum: keyed state was used without a current key"):
        fresh.value_state(VALUE).update(1)
