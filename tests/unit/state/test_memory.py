"""The memory backend beside its contract: what is decoded when, and who is named in errors."""

from __future__ import annotations

import io
from typing import Any

import pytest

from pipeline.core.clock import SystemClock
from pipeline.core.errors import StateError
from pipeline.testing.clock import ManualClock
from state.descriptors import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    ValueStateDescriptor,
    WindowStateDescriptor,
)
from state.encoding.binary import Codec
from state.memory import KINDS, MemoryStateBackend, MemoryStateBackendFactory
from tests.unit.state.snapshots import snapshot_of

X = ValueStateDescriptor[Any](name="x")


def backend(groups: range = range(128)) -> MemoryStateBackend:
    return MemoryStateBackendFactory(ManualClock()).create("sum", groups, 128)


def filled(**values: Any) -> MemoryStateBackend:
    made = backend()
    for key, value in values.items():
        made.set_current_key(key)
        made.value_state(X).update(value)
    return made


def test_every_kind_of_state_has_a_name_in_snapshots() -> None:
    """For ever: a kind that is renamed would not find its state again."""
    assert {
        ValueStateDescriptor: "value",
        ListStateDescriptor: "list",
        MapStateDescriptor: "map",
        ReducingStateDescriptor: "reducing",
        AggregatingStateDescriptor: "aggregating",
        WindowStateDescriptor: "window",
    } == KINDS
    assert set(KINDS) == set(StateDescriptor.__subclasses__())


def test_a_restored_state_is_decoded_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that nobody names costs no decoding, and is stored again as it came."""
    stored = snapshot_of(filled(a=1, b=(2,)))
    restored = backend()
    with monkeypatch.context() as patched:
        patched.delattr(Codec, "decode")
        restored.restore([io.BytesIO(stored)])
        assert restored.names() == []
        assert restored.size_bytes() > 0
        assert snapshot_of(restored) == stored
    assert dict(restored.table(X).batch(["a", "b"])) == {"a": 1, "b": (2,)}
    assert restored.names() == ["x"]


def test_a_state_that_was_named_before_is_decoded_at_once() -> None:
    """Operators name their states when they are opened, and are restored after that."""
    restored = backend()
    table = restored.table(X)
    restored.restore([io.BytesIO(snapshot_of(filled(a=1)))])
    assert dict(restored.entries("x")) == {"a": 1}
    assert dict(table.batch(["a"])) == {"a": 1}


def test_a_state_that_cannot_be_decoded_is_kept() -> None:
    """Named with the wrong descriptor, it can be named again; nothing was lost meanwhile."""
    restored = backend()
    restored.restore([io.BytesIO(snapshot_of(filled(a=1)))])
    with pytest.raises(StateError, match="was stored as value, the job now uses it as list"):
        restored.list_state(ListStateDescriptor(name="x"))
    assert restored.names() == []
    restored.value_state(X)
    assert dict(restored.entries("x")) == {"a": 1}


def test_states_without_a_name_are_not_found() -> None:
    made = filled(a=1)
    with pytest.raises(StateError, match="operator sum has no state 'y'; it has named: x"):
        made.entries("y")
    with pytest.raises(StateError, match="it has named: none"):
        backend().entries("x")


def test_closing_forgets_everything() -> None:
    made = filled(a=1)
    made.restore([io.BytesIO(snapshot_of(made))])
    made.close()
    assert (made.names(), made.size_bytes()) == ([], 0)


def test_the_factory_takes_the_clock_of_the_system_by_default() -> None:
    made = MemoryStateBackendFactory().create("sum", range(128), 128)
    assert isinstance(made._clock, SystemClock)
