"""KeyMap and ExpiringMap: dicts whose keys are compared as encoded, one with lifetimes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import StateError
from pipeline.testing.clock import ManualClock
from state.keymap import ExpiringMap, KeyMap
from state.keys import encode_key
from tests.unit.state.key_strategies import keys
from tests.unit.state.values import picture

NEARLY_EQUAL = [1, True, "1", b"1", (1,), (True,), ((1,),), ((True,),), 0, False, (), ((),)]

steps = st.lists(
    st.tuples(st.sampled_from(["set", "set", "delete", "pop", "batch"]), keys, st.integers()), max_size=20
)


@given(steps)
def test_it_is_a_dict_by_encoded_key(done: list[tuple[str, Any, int]]) -> None:
    """Any sequence of calls leaves what a dict with encoded keys would hold."""
    found: KeyMap[int] = KeyMap()
    model: dict[bytes, int] = {}
    for deed, key, value in done:
        code = encode_key(key)
        if deed == "set":
            found[key] = model[code] = value
        elif deed == "batch":
            found.batch([key, key])[key] = model[code] = value
        elif deed == "pop":
            assert found.pop(key, None) == model.pop(code, None)
        elif code in model:
            del found[key], model[code]
        assert (key in found, found.get(key)) == (code in model, model.get(code))
    assert len(found) == found.stored == len(model)
    assert {encode_key(key): value for key, value in found.items()} == model
    columns = found.columns()
    assert dict(zip(map(encode_key, columns[0]), columns[1], strict=True)) == model
    copy: KeyMap[int] = KeyMap()
    copy.load(*columns)
    assert picture(sorted(copy.items(), key=repr)) == picture(sorted(found.items(), key=repr))
    found.clear()
    assert (len(found), list(found)) == (0, [])


def test_nearly_equal_keys_are_kept_apart() -> None:
    found: KeyMap[int] = KeyMap()
    for number, key in enumerate(NEARLY_EQUAL):
        found[key] = number
    assert [found[key] for key in NEARLY_EQUAL] == list(range(len(NEARLY_EQUAL)))
    assert sorted(map(repr, found)) == sorted(map(repr, NEARLY_EQUAL))


@pytest.mark.parametrize("some", [["a"], [1, "1"], [(1, "a")], [True, False], [], [b"a"]], ids=repr)
def test_one_type_of_key_is_a_plain_dict(some: list[Any]) -> None:
    """The fast way of a batch; what is written there is in the map."""
    found: KeyMap[int] = KeyMap()
    batch = found.batch(some)
    assert type(batch) is dict
    for key in some:
        batch[key] = 7
    assert [found[key] for key in some] == [7] * len(some)


@pytest.mark.parametrize("some", [["a", "b"], [1, 0], [b"a"], [True, False]], ids=repr)
def test_all_keys_of_a_type_may_be_one_dict(some: list[Any]) -> None:
    """That of their batches."""
    found: KeyMap[int] = KeyMap()
    every = found.all_of(type(some[0]))
    assert every is found.batch(some)
    assert type(every) is dict


@pytest.mark.parametrize("kind", [tuple, float, object, list])
def test_it_may_not_where_that_depends_on_the_key(kind: type) -> None:
    """A tuple may hold a bool or another tuple; of the others none is a key."""
    assert KeyMap[int]().all_of(kind) is None


@pytest.mark.parametrize("some", [[1, True], [("a", True)], ["a", (("b",),)]], ids=repr)
def test_a_mixed_batch_is_safe(some: list[Any]) -> None:
    found: KeyMap[str] = KeyMap()
    batch = found.batch(some)
    for key in some:
        batch[key] = repr(key)
    assert [batch[key] for key in some] == list(map(repr, some))
    assert [found[key] for key in some] == list(map(repr, some))


@pytest.mark.parametrize("some", [[1.0], ["a", None], [True, 1.5], [[]], [({},)]], ids=repr)
def test_what_is_not_a_key_is_refused(some: list[Any]) -> None:
    clock = ManualClock()
    for found in (KeyMap[int](), ExpiringMap[int](10, clock.now_ms)):
        with pytest.raises(StateError, match="a key is a str, int, bytes"):
            found.batch(some)
        with pytest.raises(StateError, match="a key is a str, int, bytes"):
            found[some[-1]] = 1
        with pytest.raises(StateError, match="a key is a str, int, bytes"):
            found.get(some[-1])


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 1000])
def test_a_sample_is_spread_and_small(count: int) -> None:
    found: KeyMap[int] = KeyMap()
    found.load(list(range(count)), list(range(count)))
    sample = found.sample(10)
    assert len(sample) == min(count, len(sample))
    assert min(count, 10) <= len(sample) < 20
    if count == 1000:
        assert max(key for key, _ in sample) >= 900


# --- lifetimes ---


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(start_ms=1000)


@pytest.fixture
def expiring(clock: ManualClock) -> ExpiringMap[Any]:
    return ExpiringMap(100, clock.now_ms)


def advance(clock: ManualClock, ms: int) -> None:
    clock.advance(timedelta(milliseconds=ms))


def test_an_entry_lives_exactly_its_time(clock: ManualClock, expiring: ExpiringMap[Any]) -> None:
    """From its writing until, not including, `ttl_ms` later; reading does not prolong it."""
    expiring["a"] = 1
    advance(clock, 99)
    assert expiring["a"] == 1
    assert ("a" in expiring, len(expiring), list(expiring)) == (True, 1, ["a"])
    advance(clock, 1)
    assert ("a" in expiring, len(expiring), list(expiring)) == (False, 0, [])
    with pytest.raises(KeyError):
        expiring["a"]
    assert expiring.pop("a", "gone") == "gone"


def test_writing_begins_a_new_life(clock: ManualClock, expiring: ExpiringMap[Any]) -> None:
    expiring["a"] = 1
    advance(clock, 60)
    expiring["a"] = 2
    advance(clock, 60)
    assert expiring["a"] == 2


def test_a_key_of_a_batch_counts_as_written(clock: ManualClock, expiring: ExpiringMap[Any]) -> None:
    expiring.put("old", 1, 900)
    expiring["a"] = 1
    advance(clock, 60)
    expiring.batch(["a", "a"])
    advance(clock, 60)
    assert list(expiring.items()) == [("a", 1)]


def test_no_dict_of_expiring_entries_is_given_away(expiring: ExpiringMap[Any]) -> None:
    """It could not be known which of them are written."""
    expiring["a"] = 1
    assert expiring.all_of(str) is None


def test_a_batch_does_not_show_what_has_expired(clock: ManualClock, expiring: ExpiringMap[Any]) -> None:
    """Though its keys begin a new life: for the value that may be written, not for the old one."""
    for key in ("a", True, (1, True)):
        expiring[key] = 1
    advance(clock, 100)
    for some in (["a", "b"], [True], [(1, True), "a"]):
        batch = expiring.batch(some)
        assert [key for key in some if key in batch] == []
    assert len(expiring) == 0


def test_a_key_of_a_batch_without_a_value_is_not_an_entry(
    clock: ManualClock, expiring: ExpiringMap[Any]
) -> None:
    expiring.batch(["a"])
    assert ("a" in expiring, len(expiring)) == (False, 0)
    assert expiring.columns() == ([], [], [])


def test_columns_drop_what_has_expired(clock: ManualClock, expiring: ExpiringMap[Any]) -> None:
    """So that a checkpoint frees the memory of keys that never come again."""
    expiring["a"] = 1
    advance(clock, 60)
    expiring["b"] = 2
    expiring.batch(["never written"])
    assert expiring.stored == 2
    advance(clock, 60)
    assert expiring.columns() == (["b"], [2], [1060])
    assert (expiring.stored, len(expiring._written)) == (1, 1)


def test_deleting_and_clearing_leave_nothing(expiring: ExpiringMap[Any]) -> None:
    expiring["a"] = expiring[True] = 1
    del expiring["a"]
    with pytest.raises(KeyError):
        del expiring["a"]
    assert list(expiring) == [True]
    expiring.clear()
    assert (expiring.stored, len(expiring), expiring.columns()) == (0, 0, ([], [], []))


def test_going_through_it_while_time_passes() -> None:
    """Columns are of one instant, however long they take."""
    now = iter(range(0, 1000, 60))
    expiring: ExpiringMap[int] = ExpiringMap(100, lambda: next(now))
    expiring.put("a", 1, 0)
    expiring.put("b", 2, 50)
    assert expiring.columns() == (["a", "b"], [1, 2], [0, 50])


def test_a_sample_of_expiring_entries(expiring: ExpiringMap[Any]) -> None:
    expiring["a"] = 1
    assert expiring.sample(10) == [("a", 1)]
