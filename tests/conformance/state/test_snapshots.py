"""Snapshots: of one instant, whole, and with every value as it was."""

from __future__ import annotations

import io
import ipaddress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from operator import add
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from state.backend import KeyedStateBackend, StateBackendFactory
from state.descriptors import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)
from tests.unit.state.key_strategies import keys, typed
from tests.unit.state.values import DECLARED, picture, values

from .conftest import ALL_GROUPS, Averaging, Subtasks, of, snapshot_of

VALUE = ValueStateDescriptor[Any](name="value", value_type=DECLARED)
LIST = ListStateDescriptor(name="list", value_type=DECLARED)
MAP = MapStateDescriptor(name="map", value_type=DECLARED)
SUM = ReducingStateDescriptor[Any](name="sum", value_type=DECLARED, reduce=add)
LAST = ReducingStateDescriptor[Any](name="last", value_type=DECLARED, reduce=lambda _, value: value)
MEAN = AggregatingStateDescriptor[int, list[int], float](name="mean", aggregate=Averaging())

DAY = datetime(2013, 1, 1, 10, 30, 0, 5)  # noqa: DTZ001 - as a `timestamp` has none
ROW: dict[str, Any] = {
    "smallint": -32768,
    "bigint": -(2**63),
    "numeric": Decimal("123456789012345678901234567890.10"),
    "numeric, trailing zeros": Decimal("1.50"),
    "numeric, exponent": Decimal("1E+10"),
    "numeric, negative zero": Decimal("-0.00"),
    "numeric, no number": Decimal("NaN"),
    "numeric, infinite": Decimal("-Infinity"),
    "more than 64 bits": 10**30,
    "more than 64 bits, negative": -(10**30),
    "double": 0.1,
    "double, negative zero": -0.0,
    "double, no number": float("nan"),
    "double, infinite": float("inf"),
    "boolean": True,
    "null": None,
    "text": "Zoë 'quoted\" \\ %s 𝄞",
    "text, empty": "",
    "text, not in UTF-8": "\udc80file",
    "bytea": b"\x00\xff'",
    "uuid": UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "date": date(1, 1, 1),
    "time": time(23, 59, 59, 999999),
    "timetz": time(10, 30, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    "timestamp": DAY,
    "timestamptz": DAY.replace(tzinfo=UTC),
    "timestamptz, zone": DAY.replace(tzinfo=ZoneInfo("Europe/Berlin")),
    "timestamptz, second hour": datetime(2023, 10, 29, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
    "timestamptz, named offset": DAY.replace(tzinfo=timezone(timedelta(hours=-5), "EST")),
    "interval": timedelta(days=-1, microseconds=5),
    "json": {"b": [1, None, 2.5, {"k": True}], "a": {"n": {}}, "": [[], [[]]]},
    "array": [Decimal("1.50"), None, [UUID(int=1)]],
    "tuple": (1, ("a", [b"b"])),
    "inet": ipaddress.ip_interface("192.168.0.1/24"),
    "cidr": ipaddress.ip_network("2001:db8::/32"),
}


@pytest.mark.parametrize("kind", list(ROW))
def test_a_value_of_a_row_comes_back_the_same(subtasks: Subtasks, kind: str) -> None:
    """Equal and of the same type: by itself, in a row as a dict, in a list and in a map."""
    value = ROW[kind]
    backend = of(subtasks.make(), "a")
    backend.value_state(VALUE).update(value)
    backend.list_state(LIST).update([value, {kind: value}, (value,)])
    backend.map_state(MAP).put("k", value)
    restored = of(subtasks.restored(snapshot_of(backend)), "a")
    assert picture(restored.value_state(VALUE).value()) == picture(value)
    assert picture(list(restored.list_state(LIST).get())) == picture([value, {kind: value}, (value,)])
    assert picture(restored.map_state(MAP).get("k")) == picture(value)


def test_whole_rows_come_back_the_same(subtasks: Subtasks) -> None:
    """All kinds side by side, one row for each key."""
    backend = subtasks.make()
    batch = backend.table(VALUE).batch(["row", "tuple"])
    batch["row"], batch["tuple"] = ROW, tuple(ROW.values())
    restored = subtasks.restored(snapshot_of(backend))
    found = restored.table(VALUE).batch(["row", "tuple"])
    assert picture([found["row"], found["tuple"]]) == picture([ROW, tuple(ROW.values())])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(keys, values()), max_size=4, unique_by=lambda entry: repr(typed(entry[0]))))
def test_whatever_is_nested_in_whatever_comes_back_the_same(
    backend_factory: StateBackendFactory, entries: list[tuple[Any, Any]]
) -> None:
    """In each kind of state, of keys of every form, through a second snapshot too."""
    backend = backend_factory.create("sum", ALL_GROUPS, 128)
    for key, value in entries:
        of(backend, key).value_state(VALUE).update(value)
        backend.list_state(LIST).add(value)
        backend.map_state(MAP).put(key, value)
        backend.reducing_state(LAST).add(value)
    again = backend_factory.create("sum", ALL_GROUPS, 128)
    again.restore([io.BytesIO(snapshot_of(backend))])
    once_more = backend_factory.create("sum", ALL_GROUPS, 128)
    once_more.restore([io.BytesIO(snapshot_of(again))])
    for restored in (again, once_more):
        for key, value in entries:
            of(restored, key)
            assert picture(restored.value_state(VALUE).value()) == picture(value)
            assert picture(list(restored.list_state(LIST).get())) == picture([value])
            assert picture(list(restored.map_state(MAP).items())) == picture([(key, value)])
            assert picture(restored.reducing_state(LAST).get()) == picture(value)
        for name in restored.names():
            assert len(list(restored.entries(name))) == len(entries)
        restored.close()
    backend.close()


def test_nothing_is_a_snapshot_too(subtasks: Subtasks) -> None:
    restored = subtasks.restored(snapshot_of(subtasks.make()))
    assert of(restored, "a").value_state(VALUE).value() is None
    assert list(restored.entries("value")) == []


# --- one instant ---


def fill(backend: KeyedStateBackend, number: int) -> None:
    backend.value_state(VALUE).update([number])
    backend.list_state(LIST).add(number)
    backend.map_state(MAP).put(number, [number])
    backend.reducing_state(SUM).add(number)
    backend.aggregating_state(MEAN).add(number)


def seen(backend: KeyedStateBackend) -> list[Any]:
    return [
        backend.value_state(VALUE).value(),
        list(backend.list_state(LIST).get()),
        sorted(backend.map_state(MAP).items()),
        backend.reducing_state(SUM).get(),
        backend.aggregating_state(MEAN).get(),
    ]


def test_what_is_written_later_is_not_in_it(subtasks: Subtasks, backend: KeyedStateBackend) -> None:
    """Neither new values, nor removals, nor what is changed in place; and writing just continues."""
    fill(backend, 1)
    first, expected = snapshot_of(backend), seen(backend)
    fill(backend, 2)
    backend.map_state(MAP).remove(1)
    value = backend.value_state(VALUE).value()
    assert value is not None
    value.append("changed in place")
    backend.value_state(VALUE).update(value)
    second, then = snapshot_of(backend), seen(backend)
    for state in (backend.value_state(VALUE), backend.list_state(LIST), backend.map_state(MAP)):
        state.clear()
    fill(of(backend, "b"), 3)
    assert seen(of(subtasks.restored(first), "a")) == expected
    assert seen(of(subtasks.restored(second), "a")) == then
    assert seen(of(subtasks.restored(first), "b")) == [None, [], [], None, None]


def test_a_snapshot_between_two_steps_of_a_loop_disturbs_neither(
    subtasks: Subtasks, backend: KeyedStateBackend
) -> None:
    """A barrier may come while an operator iterates the result of `get` or `items`."""
    for number in range(4):
        backend.list_state(LIST).add(number)
        backend.map_state(MAP).put(number, number)
    snapshots: list[bytes] = []
    for (key, _), number in zip(backend.map_state(MAP).items(), backend.list_state(LIST).get(), strict=True):
        snapshots.append(snapshot_of(backend))
        backend.map_state(MAP).remove(key)
        backend.list_state(LIST).add(number + 10)
    for step, data in enumerate(snapshots):
        restored = of(subtasks.restored(data), "a")
        assert list(restored.list_state(LIST).get()) == [*range(4), *range(10, 10 + step)]
        assert sorted(restored.map_state(MAP).keys()) == list(range(step, 4))


def test_restoring_replaces_what_was_there(subtasks: Subtasks, backend: KeyedStateBackend) -> None:
    """All of it: keys and states that the snapshot does not have are gone."""
    fill(backend, 1)
    stored = snapshot_of(backend)
    other = of(subtasks.make(), "b")
    fill(other, 2)
    objects = (other.value_state(VALUE), other.list_state(LIST), other.map_state(MAP))
    other.restore([io.BytesIO(stored)])
    assert seen(other) == [None, [], [], None, None]
    other.set_current_key("a")
    assert seen(other) == [[1], [1], [(1, [1])], 1, 1]
    assert [objects[0].value(), list(objects[1].get()), objects[2].get(1)] == [[1], [1], [1]]
    other.restore([])
    assert seen(other) == [None, [], [], None, None]


def test_a_restored_backend_shares_nothing_with_another(
    subtasks: Subtasks, backend: KeyedStateBackend
) -> None:
    fill(backend, 1)
    stored = snapshot_of(backend)
    one, other = of(subtasks.restored(stored), "a"), of(subtasks.restored(stored), "a")
    fill(one, 2)
    assert seen(other) == seen(of(subtasks.restored(stored), "a"))


# --- states that a version of the job does not name ---


def test_a_state_that_is_not_named_is_stored_again(subtasks: Subtasks, backend: KeyedStateBackend) -> None:
    """It waits for the version, or the record, that names it; over any number of checkpoints."""
    fill(backend, 1)
    stored = snapshot_of(backend)
    for _ in range(3):
        restored = of(subtasks.restored(stored), "a")
        restored.value_state(ValueStateDescriptor[Any](name="new")).update(1)
        assert list(restored.names()) == ["new"]
        stored = snapshot_of(restored)
    assert seen(of(subtasks.restored(stored), "a")) == seen(backend)


def test_a_renamed_state_is_a_new_one_and_the_old_is_kept(
    subtasks: Subtasks, backend: KeyedStateBackend
) -> None:
    fill(backend, 1)
    renamed = of(subtasks.restored(snapshot_of(backend)), "a")
    state = renamed.value_state(ValueStateDescriptor[Any](name="other"))
    assert state.value() is None
    state.update(2)
    back = of(subtasks.restored(snapshot_of(renamed)), "a")
    assert back.value_state(VALUE).value() == [1]
