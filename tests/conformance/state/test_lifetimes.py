"""TTL: entries live from their last writing for `ttl`, on the wall clock, over restarts."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from operator import add
from typing import Any

import pytest

from state.backend import KeyedStateBackend
from state.descriptors import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)

from .conftest import Averaging, Subtasks, of, snapshot_of

TTL = timedelta(milliseconds=100)
VALUE = ValueStateDescriptor[Any](name="value", ttl=TTL)
LIST = ListStateDescriptor(name="list", ttl=TTL)
MAP = MapStateDescriptor(name="map", ttl=TTL)
SUM = ReducingStateDescriptor[int](name="sum", ttl=TTL, reduce=add)
MEAN = AggregatingStateDescriptor[int, list[int], float](name="mean", ttl=TTL, aggregate=Averaging())

Advance = Callable[[int], None]


def fill(backend: KeyedStateBackend) -> None:
    backend.value_state(VALUE).update(1)
    backend.list_state(LIST).add(1)
    backend.map_state(MAP).put("k", 1)
    backend.reducing_state(SUM).add(1)
    backend.aggregating_state(MEAN).add(1)


def seen(backend: KeyedStateBackend) -> list[Any]:
    return [
        backend.value_state(VALUE).value(),
        list(backend.list_state(LIST).get()),
        backend.map_state(MAP).get("k"),
        backend.reducing_state(SUM).get(),
        backend.aggregating_state(MEAN).get(),
    ]


ALIVE = [1, [1], 1, 1, 1]
GONE = [None, [], None, None, None]


def test_an_entry_lives_exactly_its_time(backend: KeyedStateBackend, advance: Advance) -> None:
    """From its writing until, not including, `ttl` later; reading does not prolong it."""
    fill(backend)
    advance(99)
    assert seen(backend) == ALIVE
    advance(1)
    assert seen(backend) == GONE


def test_what_has_expired_is_in_no_listing(backend: KeyedStateBackend, advance: Advance) -> None:
    fill(backend)
    advance(60)
    fill(of(backend, "b"))
    backend.map_state(MAP).put("l", 2)
    advance(60)
    assert sorted(backend.names()) == ["list", "map", "mean", "sum", "value"]
    for name in backend.names():
        assert [key for key, _ in backend.entries(name)] == ["b"]
    backend.set_current_key("a")
    state = backend.map_state(MAP)
    assert (state.is_empty(), state.contains("k"), state.get("k", 7)) == (True, False, 7)
    assert (list(state.items()), list(state.keys()), list(state.values())) == ([], [], [])


def test_writing_begins_a_new_life(backend: KeyedStateBackend, advance: Advance) -> None:
    """And continues from what was there."""
    fill(backend)
    advance(60)
    fill(backend)
    advance(60)
    assert seen(backend) == [1, [1, 1], 1, 2, 1]


def test_what_is_written_after_the_end_restarts(backend: KeyedStateBackend, advance: Advance) -> None:
    """An expired list, sum or mean is not continued."""
    fill(backend)
    advance(100)
    fill(backend)
    assert seen(backend) == ALIVE


def test_a_default_stands_for_what_has_expired(backend: KeyedStateBackend, advance: Advance) -> None:
    state = backend.value_state(ValueStateDescriptor[Any](name="other", ttl=TTL, default=7))
    state.update(1)
    advance(100)
    assert state.value() == 7


def test_each_entry_of_a_map_has_its_own_life(backend: KeyedStateBackend, advance: Advance) -> None:
    state = backend.map_state(MAP)
    state.put("k", 1)
    advance(60)
    state.put("l", 2)
    assert sorted(state.items()) == [("k", 1), ("l", 2)]
    advance(60)
    assert list(state.items()) == [("l", 2)]
    state.put("k", 3)
    advance(60)
    assert list(state.items()) == [("k", 3)]


def test_keys_live_apart(backend: KeyedStateBackend, advance: Advance) -> None:
    """Nearly equal keys too."""
    of(backend, 1).value_state(VALUE).update("one")
    advance(60)
    of(backend, True).value_state(VALUE).update("true")
    advance(60)
    assert backend.value_state(VALUE).value() == "true"
    assert of(backend, 1).value_state(VALUE).value() is None


def test_a_batch_shows_nothing_expired_and_counts_as_writing(
    backend: KeyedStateBackend, advance: Advance
) -> None:
    table = backend.table(SUM)
    table.batch(["a", "b"]).update(a=1, b=1)
    advance(60)
    assert dict(table.batch(["a"])).get("a") == 1
    advance(60)
    state = table.batch(["a", "b"])
    assert ("a" in state, "b" in state) == (True, False)
    state["b"] = 5
    assert dict(backend.entries("sum")) == {"a": 1, "b": 5}
    advance(100)
    assert dict(backend.entries("sum")) == {}


def test_a_key_of_a_batch_that_got_no_value_is_not_an_entry(
    backend: KeyedStateBackend, advance: Advance
) -> None:
    table = backend.table(SUM)
    table.batch(["a", "b"])["a"] = 1
    assert dict(backend.entries("sum")) == {"a": 1}
    backend.restore([io.BytesIO(snapshot_of(backend))])
    assert dict(backend.entries("sum")) == {"a": 1}


def test_a_cleared_entry_stays_away(backend: KeyedStateBackend, advance: Advance) -> None:
    fill(backend)
    backend.value_state(VALUE).clear()
    assert backend.value_state(VALUE).value() is None
    assert list(backend.entries("value")) == []


# --- over restarts ---


def test_lifetimes_continue_while_the_job_is_down(
    subtasks: Subtasks, backend: KeyedStateBackend, advance: Advance
) -> None:
    """Neither the checkpoint nor the restore renews them."""
    fill(backend)
    advance(60)
    stored = snapshot_of(backend)
    advance(39)
    assert seen(of(subtasks.restored(stored), "a")) == ALIVE
    restored = of(subtasks.restored(stored), "a")
    advance(1)
    assert seen(restored) == GONE
    assert seen(of(subtasks.restored(stored), "a")) == GONE


def test_what_has_expired_is_not_stored(backend: KeyedStateBackend, advance: Advance) -> None:
    """A checkpoint is no larger for keys that will never come again."""
    for name in ("value", "list", "map"):
        backend.set_current_key(name)
        fill(backend)
    empty = snapshot_of(backend)
    assert b"list" in empty
    for key in range(100):
        of(backend, f"key-{key}")
        backend.value_state(VALUE).update(f"content-{key}")
        backend.map_state(MAP).put(f"item-{key}", 1)
    advance(100)
    stored = snapshot_of(backend)
    assert len(stored) < len(empty)
    assert not any(text in stored for text in (b"key-", b"content-", b"item-"))


def test_the_size_falls_with_what_has_expired(backend: KeyedStateBackend, advance: Advance) -> None:
    """At the next snapshot at the latest."""
    for key in range(100):
        fill(of(backend, key))
    advance(100)
    snapshot_of(backend)
    assert backend.size_bytes() == 0


@pytest.mark.parametrize("stored_with", [None, TTL])
def test_a_lifetime_may_come_and_go_with_a_version_of_the_job(
    subtasks: Subtasks, advance: Advance, stored_with: timedelta | None
) -> None:
    """What was stored without one begins to live at the restore; without one, all stays."""
    reading_with = None if stored_with else TTL
    before, after = (
        (
            ValueStateDescriptor[Any](name="value", ttl=ttl),
            MapStateDescriptor(name="map", ttl=ttl),
        )
        for ttl in (stored_with, reading_with)
    )
    old = of(subtasks.make(), "a")
    old.value_state(before[0]).update(1)
    old.map_state(before[1]).put("k", 1)
    stored = snapshot_of(old)
    advance(60)
    new = of(subtasks.restored(stored), "a")
    value, entries = new.value_state(after[0]), new.map_state(after[1])
    advance(60)
    assert (value.value(), entries.get("k")) == (1, 1)
    advance(60)
    expected = None if reading_with else 1
    assert (value.value(), entries.get("k")) == (expected, expected)
