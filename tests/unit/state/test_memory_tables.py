"""The tables of the memory backend: how large they say they are, what they let go, what they hand out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.errors import EncodingError, StateError
from pipeline.testing.clock import ManualClock
from state.encoding import Codec
from state.memory_tables import MapTable, Table
from state.snapshot import Columns

TTL = timedelta(seconds=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def table(clock: ManualClock, ttl: timedelta | None = None) -> Table:
    return Table("value", Codec("state 'x'"), ttl, clock)


def maps(clock: ManualClock, ttl: timedelta | None = None) -> MapTable:
    return MapTable("map", Codec("state 'x'"), ttl, clock)


@pytest.mark.parametrize("ttl", [None, TTL])
def test_the_size_grows_with_keys_and_values(clock: ManualClock, ttl: timedelta | None) -> None:
    """Ten times the entries take about ten times the memory, and long values take what they take."""
    small, large, long = (table(clock, ttl) for _ in range(3))
    small.batch(range(100)).update(dict.fromkeys(range(100), "v"))
    large.batch(range(1000)).update(dict.fromkeys(range(1000), "v"))
    long.batch(range(100)).update(dict.fromkeys(range(100), "v" * 10000))
    assert table(clock, ttl).size_bytes() == 0
    assert 9 < large.size_bytes() / small.size_bytes() < 11
    assert 1_000_000 < long.size_bytes() < 1_100_000


def test_the_size_of_maps(clock: ManualClock) -> None:
    found = maps(clock)
    assert found.size_bytes() == 0
    for key in range(10):
        found.map_of(key).update(dict.fromkeys(range(10), "v" * 1000))
    assert 100_000 < found.size_bytes() < 120_000


def test_a_first_value_written_by_batch_is_tested(clock: ManualClock) -> None:
    """Before it is there; with the first that can be stored the test is over."""
    found = table(clock)
    batch = found.batch(["a", "b"])
    for write in (lambda: batch.update(a=object()), lambda: batch.setdefault("a", object())):
        with pytest.raises(EncodingError, match=r"state 'x': a builtins\.object cannot be stored"):
            write()
    assert dict(batch) == {}
    batch["a"] = 1
    assert (batch["a"], len(batch), list(batch), "b" in batch) == (1, 1, ["a"], False)
    del batch["a"]
    assert dict(batch) == {}
    assert type(found.batch(["a"])) is dict


def test_entries_restored_without_a_time_begin_to_live_now(clock: ManualClock) -> None:
    """Where a state gets a lifetime only in a new version of the job."""
    old = table(clock)
    old.batch(["a"])["a"] = 1
    old_maps = maps(clock)
    old_maps.map_of("a")["k"] = 1
    clock.advance(TTL * 5)
    new, new_maps = table(clock, TTL), maps(clock, TTL)
    new.load(old.columns())
    new_maps.load(old_maps.columns())
    clock.advance(TTL - timedelta(milliseconds=1))
    assert (dict(new.entries), dict(new_maps.map_of("a"))) == ({"a": 1}, {"k": 1})
    clock.advance(timedelta(milliseconds=1))
    assert (dict(new.entries), dict(new_maps.map_of("a"))) == ({}, {})


def test_entries_restored_into_a_state_that_lost_its_lifetime_stay(clock: ManualClock) -> None:
    old, old_maps = table(clock, TTL), maps(clock, TTL)
    old.batch(["a"])["a"] = 1
    old_maps.map_of("a")["k"] = 1
    new, new_maps = table(clock), maps(clock)
    new.load(old.columns())
    new_maps.load(old_maps.columns())
    clock.advance(TTL * 5)
    assert (dict(new.entries), dict(new_maps.map_of("a"))) == ({"a": 1}, {"k": 1})


def test_maps_that_are_empty_are_let_go(clock: ManualClock) -> None:
    """At the next checkpoint: keys that never come again must not take memory for ever."""
    found = maps(clock, TTL)
    found.map_of("expired")["k"] = 1
    found.map_of("empty")
    clock.advance(TTL)
    found.map_of("living")["k"] = 2
    assert found.columns().keys == ["living"]
    assert list(found.entries) == ["living"]


def test_a_map_is_stored_with_the_times_of_its_entries(clock: ManualClock) -> None:
    with_ttl, without = maps(clock, TTL), maps(clock)
    for found in (with_ttl, without):
        found.map_of("a")[True] = "v"
    assert with_ttl.columns().values == [[[True, "v", 0]]]
    assert without.columns().values == [[[True, "v"]]]
    assert list(with_ttl.readable(Columns(["a"], [[["k", 1, 5]]]))) == [("a", {"k": 1})]


def test_maps_have_no_batches(clock: ManualClock) -> None:
    with pytest.raises(StateError, match="a map state cannot be read by batch") as refused:
        maps(clock).batch(["a"])
    assert "map_state()" in str(refused.value.hint)


def test_lifetimes_are_rounded_to_milliseconds(clock: ManualClock) -> None:
    found: Any = table(clock, timedelta(microseconds=1800))
    found.entries["a"] = 1
    clock.advance(timedelta(milliseconds=1))
    assert "a" in found.entries
    clock.advance(timedelta(milliseconds=1))
    assert "a" not in found.entries
