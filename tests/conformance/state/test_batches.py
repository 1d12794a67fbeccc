"""The batch interface: the same data as the state objects, many keys at once."""

from __future__ import annotations

import io
from operator import add
from typing import Any

import pytest

from pipeline.core.errors import EncodingError, StateError
from state.backend import KeyedStateBackend
from state.descriptors import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)

from .conftest import Averaging, Subtasks, of, snapshot_of

VALUE = ValueStateDescriptor[Any](name="value", default=7)
LIST = ListStateDescriptor(name="list")
SUM = ReducingStateDescriptor[int](name="sum", reduce=add)
MEAN = AggregatingStateDescriptor[int, list[int], float](name="mean", aggregate=Averaging())


def test_a_batch_reads_and_writes_what_the_state_objects_do(backend: KeyedStateBackend) -> None:
    backend.value_state(VALUE).update(1)
    batch = backend.table(VALUE).batch(["a", "b"])
    assert (batch["a"], "b" in batch, batch.get("b")) == (1, False, None)
    batch["b"] = 2
    batch["a"] = 3
    assert of(backend, "a").value_state(VALUE).value() == 3
    assert of(backend, "b").value_state(VALUE).value() == 2
    assert dict(backend.entries("value")) == {"a": 3, "b": 2}


def test_all_keys_of_a_type_are_what_their_batches_are(backend: KeyedStateBackend) -> None:
    """Where a backend exposes them at all."""
    table = backend.table(VALUE)
    for key in ("a", 1, b"a", True):
        every = table.all_of(type(key))
        if every is not None:
            every[key] = repr(key)
            assert table.batch([key])[key] == repr(key)
    assert table.all_of(tuple) is None, "a tuple may hold what Python confuses"


def test_the_first_value_is_tested_there_too(backend: KeyedStateBackend) -> None:
    every = backend.table(VALUE).all_of(str)
    if every is not None:
        with pytest.raises(EncodingError, match="value"):
            every["a"] = object()


def test_a_batch_holds_what_is_stored(backend: KeyedStateBackend) -> None:
    """Lists and accumulators, not results."""
    backend.list_state(LIST).add(1)
    backend.reducing_state(SUM).add(5)
    backend.aggregating_state(MEAN).add(3)
    assert list(backend.table(LIST).batch(["a"])["a"]) == [1]
    assert backend.table(SUM).batch(["a"])["a"] == 5
    assert backend.table(MEAN).batch(["a"])["a"] == [3, 1]
    backend.table(MEAN).batch(["a"])["a"] = [10, 2]
    assert backend.aggregating_state(MEAN).get() == 5


def test_a_default_is_not_a_value_of_a_batch(backend: KeyedStateBackend) -> None:
    assert backend.table(VALUE).batch(["a"]).get("a") is None


def test_an_entry_can_be_deleted_by_batch(backend: KeyedStateBackend) -> None:
    backend.value_state(VALUE).update(1)
    batch = backend.table(VALUE).batch(["a"])
    del batch["a"]
    assert "a" not in batch
    assert backend.value_state(VALUE).value() == 7


def test_a_table_is_good_for_batch_after_batch(subtasks: Subtasks, backend: KeyedStateBackend) -> None:
    """As operators hold it: over snapshots, and over the restore that comes after `open`."""
    table = backend.table(SUM)
    for number in range(3):
        state = table.batch(["a", number])
        state["a"] = state.get("a", 0) + 1
        state[number] = number
        snapshot_of(backend)
    backend.restore([io.BytesIO(snapshot_of(backend))])
    state = table.batch(["a", 1])
    assert (state["a"], state[1]) == (3, 1)
    state["a"] = 4
    again = subtasks.restored(snapshot_of(backend))
    assert of(again, "a").reducing_state(SUM).get() == 4


def test_an_empty_batch(backend: KeyedStateBackend) -> None:
    backend.table(VALUE).batch([])
    assert list(backend.entries("value")) == []


@pytest.mark.parametrize(
    "some", [[1, True, "1"], [True, False], [(1, True), (1, 1)], ["a", ("b", ("c",))]], ids=repr
)
def test_a_batch_keeps_keys_of_mixed_types_apart(backend: KeyedStateBackend, some: list[Any]) -> None:
    state = backend.table(VALUE).batch(some)
    for key in some:
        state[key] = repr(key)
    assert [state[key] for key in some] == list(map(repr, some))
    assert sorted(value for _, value in backend.entries("value")) == sorted(map(repr, some))
    for key in some:
        assert of(backend, key).value_state(VALUE).value() == repr(key)


def test_a_first_value_that_cannot_be_stored_is_refused_by_batch(backend: KeyedStateBackend) -> None:
    """At once, not at the checkpoint; what can be stored is still accepted."""
    state = backend.table(SUM).batch(["a", "b"])
    with pytest.raises(
        EncodingError, match=r"state 'sum' of operator sum: a builtins\.object cannot be stored"
    ):
        state["a"] = object()
    state["b"] = 1
    assert dict(backend.entries("sum")) == {"b": 1}


def test_a_map_state_has_no_batches(backend: KeyedStateBackend) -> None:
    with pytest.raises(StateError, match="a map state cannot be read by batch"):
        backend.table(MapStateDescriptor(name="map")).batch(["a"])
