"""Keys are compared as encoded: what Python takes for equal may be two keys."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.core.errors import StateError
from state.backend import KeyedStateBackend, StateBackendFactory
from state.descriptors import (
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)
from tests.unit.state.key_strategies import keys, typed
from tests.unit.state.values import picture

from .conftest import ALL_GROUPS, Subtasks, of, snapshot_of

VALUE = ValueStateDescriptor[Any](name="value")
COUNT = ReducingStateDescriptor[int](name="count", reduce=lambda known, _: known + 1)

NEARLY_EQUAL: list[Any] = [
    1, True, "1", b"1", (1,), (True,), ("1",), ((1,),), ((True,),), 0, False, "", b"", (), ((),), -1,
    2**64, "\ud800", "ß", "0x1",
]  # fmt: skip


def test_nearly_equal_keys_are_kept_apart(subtasks: Subtasks, backend: KeyedStateBackend) -> None:
    """1, True, "1" and b"1" have a state each, before and after a restore."""
    state = backend.value_state(VALUE)
    for number, key in enumerate(NEARLY_EQUAL):
        of(backend, key)
        state.update(number)
    for one in (backend, subtasks.restored(snapshot_of(backend))):
        found = [of(one, key).value_state(VALUE).value() for key in NEARLY_EQUAL]
        assert found == list(range(len(NEARLY_EQUAL)))
        assert sorted(repr(picture(key)) for key, _ in one.entries("value")) == sorted(
            repr(picture(key)) for key in NEARLY_EQUAL
        )


@pytest.mark.parametrize("key", NEARLY_EQUAL, ids=ascii)
def test_clearing_one_key_touches_no_other(backend: KeyedStateBackend, key: Any) -> None:
    state = backend.value_state(VALUE)
    for other in NEARLY_EQUAL:
        of(backend, other)
        state.update(1)
    of(backend, key)
    state.clear()
    left = {repr(typed(other)) for other, _ in backend.entries("value")}
    assert left == {repr(typed(other)) for other in NEARLY_EQUAL} - {repr(typed(key))}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(keys, max_size=5), max_size=5))
def test_every_way_to_a_key_leads_to_the_same_state(
    backend_factory: StateBackendFactory, batches: list[list[Any]]
) -> None:
    """Counted alternately by batch and one by one, every key has the number of its records."""
    backend = backend_factory.create("sum", ALL_GROUPS, 128)
    expected: dict[str, int] = {}
    for number, batch in enumerate(batches):
        if number % 2:
            for key in batch:
                of(backend, key).reducing_state(COUNT).add(1)
        else:
            state = backend.table(COUNT).batch(batch)
            for key in batch:
                state[key] = state[key] + 1 if key in state else 1
        for key in batch:
            code = repr(typed(key))
            expected[code] = expected.get(code, 0) + 1
    backend.table(COUNT)
    assert {repr(typed(key)): count for key, count in backend.entries("count")} == expected
    backend.close()


@pytest.mark.parametrize(
    "key",
    [1.0, float("nan"), None, [1], {}, (1, 1.0), ("a", None), pytest.param(object(), id="object")],
    ids=repr,
)
def test_other_keys_are_refused_by_name(backend: KeyedStateBackend, key: Any) -> None:
    """However they come; and nothing is left of the attempt."""
    of(backend, key)
    uses = [
        lambda: backend.value_state(VALUE).update(1),
        lambda: backend.value_state(VALUE).value(),
        lambda: backend.list_state(ListStateDescriptor(name="list")).add(1),
        lambda: backend.map_state(MapStateDescriptor(name="map")).put("k", 1),
        lambda: backend.reducing_state(COUNT).add(1),
        lambda: backend.table(VALUE).batch(["a", key]),
    ]
    for use in uses:
        with pytest.raises(
            StateError, match="a key is a str, int, bytes, bool or a tuple of them, found"
        ) as refused:
            use()
        assert refused.value.hint
    assert [list(backend.entries(name)) for name in backend.names()] == [[]] * 4
