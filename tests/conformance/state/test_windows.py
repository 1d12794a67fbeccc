"""Window state: each window has values of its own for the same keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.errors import ConfigError, StateError
from state.backend import KeyedStateBackend
from state.descriptors import ValueStateDescriptor, WindowStateDescriptor

from .conftest import Subtasks, snapshot_of

FIRST, LATER = (0, 5), (10, 15)
WINDOWS = WindowStateDescriptor(name="windows")


def test_windows_share_keys_and_nothing_else(backend: KeyedStateBackend) -> None:
    table = backend.window_table(WINDOWS)
    open_window = table.batch(["a", "b"])
    open_window(LATER)["a"] = 1
    open_window(FIRST)["a"] = 2
    open_window(FIRST)["b"] = 3
    assert (len(table), table.windows()) == (2, [FIRST, LATER])
    assert [list(column) for column in table.columns(FIRST)] == [["a", "b"], [2, 3]]
    assert dict(backend.entries("windows")) == {"a": {LATER: 1, FIRST: 2}, "b": {FIRST: 3}}


def test_a_window_goes_as_a_whole(backend: KeyedStateBackend) -> None:
    table = backend.window_table(WINDOWS)
    table.batch(["a"])(FIRST)["a"] = 1
    table.batch(["a"])(LATER)["a"] = 2
    table.drop(FIRST)
    table.drop(FIRST)
    assert (len(table), table.windows(), dict(backend.entries("windows"))) == (1, [LATER], {"a": {LATER: 2}})


def test_windows_of_one_start_are_told_apart_by_the_rest(subtasks: Subtasks) -> None:
    """As sessions are; and what tells them apart need not be a number."""
    first = subtasks.make()
    open_window = first.window_table(WINDOWS).batch(["a"])
    for window in ((0, 5), (0, 7), (3, "first"), (3, "second")):
        open_window(window)["a"] = window
    table = subtasks.restored(snapshot_of(first)).window_table(WINDOWS)
    assert [tuple(window) for window in table.windows()] == [(0, 5), (0, 7), (3, "first"), (3, "second")]
    assert all(table.columns(window) == (["a"], [window]) for window in table.windows())
    assert (0, 7) in table
    assert (0, 8) not in table


def test_single_keys_are_put_and_removed(backend: KeyedStateBackend) -> None:
    """A window goes with its last key; 1 and True are two keys, and a float is none."""
    table = backend.window_table(WINDOWS)
    for key in (1, True, "a"):
        table.put(FIRST, key, key)
    table.put(LATER, "a", "b")
    found = table.batch([1, True, "a"])(FIRST)
    assert [found[key] for key in (1, True, "a")] == [1, True, "a"]
    for key in (1, "a", "a", "never"):
        table.remove(FIRST, key)
    assert table.columns(FIRST) == ([True], [True])
    table.remove(FIRST, True)
    table.remove(FIRST, True)
    assert (table.windows(), FIRST in table) == ([LATER], False)
    with pytest.raises(StateError):
        table.put(FIRST, 1.5, "x")
    assert FIRST not in table


def test_keys_are_compared_as_encoded(backend: KeyedStateBackend) -> None:
    """1 and True are two keys in a window too, alone and side by side."""
    table = backend.window_table(WINDOWS)
    table.batch([1])(FIRST)[1] = "int"
    table.batch([True])(FIRST)[True] = "bool"
    both = table.batch([1, True])(FIRST)
    assert (both[1], both[True]) == ("int", "bool")
    with pytest.raises(StateError):
        table.batch([1.5])


@pytest.mark.parametrize("groups", [(range(128),), (range(50), range(50, 128))])
def test_windows_are_divided_by_key_group(subtasks: Subtasks, groups: tuple[range, ...]) -> None:
    first = subtasks.make()
    keys = [f"k{number}" for number in range(40)]
    open_window = first.window_table(WINDOWS).batch(keys)
    for number, key in enumerate(keys):
        open_window((number % 3, 10))[key] = number
    parts = [snapshot_of(first)]
    spread = [subtasks.restored(*parts, groups=each) for each in groups]
    found: dict[tuple[str, Any], int] = {}
    for each in spread:
        table = each.window_table(WINDOWS)
        for window in table.windows():
            found.update({(key, window): value for key, value in zip(*table.columns(window), strict=True)})
    assert found == {(key, (number % 3, 10)): number for number, key in enumerate(keys)}
    again = subtasks.restored(*[snapshot_of(each) for each in spread])
    again.window_table(WINDOWS)
    assert len(dict(again.entries("windows"))) == len(keys)


def test_their_size_grows_with_their_entries(backend: KeyedStateBackend) -> None:
    table = backend.window_table(WINDOWS)
    assert backend.size_bytes() == 0
    table.batch(["a"])(FIRST)["a"] = "x" * 1000
    one = backend.size_bytes()
    assert one > 1000
    table.batch(["a"])(LATER)["a"] = "x" * 1000
    assert backend.size_bytes() > 1.5 * one


def test_what_makes_no_sense_is_refused(backend: KeyedStateBackend) -> None:
    with pytest.raises(ConfigError, match="as long as its window"):
        WindowStateDescriptor(name="w", ttl=timedelta(seconds=1))
    backend.window_table(WINDOWS)
    with pytest.raises(StateError, match="used as window and as value"):
        backend.table(ValueStateDescriptor[int](name="windows"))
    with pytest.raises(StateError, match="read by window"):
        backend.table(WINDOWS).batch(["a"])
