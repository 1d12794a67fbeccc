"""Keys: compared as encoded, spread the same way in every process, refused by name."""

from __future__ import annotations

import enum
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import EncodingError, StateError
from state import keys as keys_module
from state.keys import (
    MAX_KEY_DEPTH,
    all_distinct_types,
    check_key,
    decode_key,
    decode_keys,
    encode_key,
    encode_keys,
    groups_of,
    key_group,
    key_groups,
    subtask_of,
)
from tests.unit.state.key_strategies import keys, typed
from tests.unit.state.values import picture


class Side(enum.StrEnum):
    BUY = "buy"


class Pair(NamedTuple):
    a: int


GOLDEN: list[tuple[Any, bytes, int]] = [
    ("", b"\xa0", 79),
    ("a", b"\xa1a", 36),
    ("ß\U0001d11e", b"\xa6\xc3\x9f\xf0\x9d\x84\x9e", 60),
    (0, b"\x00", 104),
    (1, b"\x01", 48),
    (-1, b"\xff", 68),
    (2**63, b"\xcf\x80\x00\x00\x00\x00\x00\x00\x00", 101),
    (2**64, b"\xc7\x14\x01\xb30x10000000000000000", 79),
    (True, b"\xc3", 44),
    (False, b"\xc2", 100),
    (b"a", b"\xc4\x01a", 76),
    ((), b"\x90", 15),
    (("a", 1), b"\x92\xa1a\x01", 47),
    (("a", True), b"\x92\xa1a\xc3", 6),
    ((1, ("b", b"")), b"\x92\x01\x92\xa1b\xc4\x00", 123),
    ("\ud800", b"\xc7\x05\x02\xc4\x03\xed\xa0\x80", 120),
]
"""Keys as the first version encoded and spread them, over 128 groups."""


@pytest.mark.parametrize(("key", "data", "group"), GOLDEN, ids=[ascii(row[0]) for row in GOLDEN])
def test_a_key_is_encoded_and_grouped_as_ever(key: Any, data: bytes, group: int) -> None:
    """Where a change of either would lose the state of every job."""
    assert encode_key(key) == data
    assert picture(decode_key(data)) == picture(key)
    assert key_group(key, 128) == group


@given(keys, keys)
def test_keys_are_equal_exactly_if_their_types_are_too(one: Any, other: Any) -> None:
    """1, True, "1" and b"1" are four keys, within tuples too."""
    assert (encode_key(one) == encode_key(other)) == (typed(one) == typed(other))


@given(st.lists(keys, max_size=6))
def test_keys_come_back_the_same(some: list[Any]) -> None:
    assert picture([decode_key(encode_key(key)) for key in some]) == picture(some)
    assert picture(decode_keys(encode_keys(some))) == picture(some)


@pytest.mark.parametrize("key", [1.0, float("nan"), None, [1], {}, Side.BUY, Pair(1), bytearray(), object()])
@pytest.mark.parametrize("nested", [False, True])
def test_other_types_are_refused_by_name(key: Any, nested: bool) -> None:
    bad = ("a", key) if nested else key
    for use in (check_key, encode_key, lambda k: key_group(k, 128), lambda k: key_groups(["a", k], 128)):
        with pytest.raises(StateError, match=f"of type {type(key).__qualname__} — ") as refused:
            use(bad)
        assert refused.value.message.startswith("a key is a str, int, bytes, bool or a tuple of them, found")


@pytest.mark.parametrize(
    ("key", "hint"), [(1.5, "use str"), ([1], "tuple instead of a list"), (None, "filter out")], ids=str
)
def test_the_usual_mistakes_have_a_hint(key: Any, hint: str) -> None:
    with pytest.raises(StateError) as refused:
        check_key(key)
    assert hint in str(refused.value.hint)


def test_tuples_are_nested_as_deep_as_promised() -> None:
    key: Any = 1
    for _ in range(MAX_KEY_DEPTH):
        key = (key,)
    assert decode_key(encode_key(key)) == key
    with pytest.raises(StateError, match="found tuples nested more than 32 deep"):
        encode_key((key,))


@pytest.mark.parametrize("data", [b"", b"\x92\x01", b"\xc1", b"\xd4\x63\x01", b"\x01\x01"])
def test_damaged_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(EncodingError, match="key: "):
        decode_key(data)
    with pytest.raises(EncodingError, match="keys: "):
        decode_keys(data)


@pytest.mark.parametrize(
    ("some", "distinct"),
    [
        ([], True),
        (["a", "b"], True),
        ([1, 2], True),
        ([1, "1", b"1"], True),
        ([(1, "a"), (2, b"b")], True),
        ([()], True),
        ([True], False),
        ([1, 1, True], False),
        ([("a", True)], False),
        ([("a", ("b",))], False),
        ([1.0, 1.0], False),
        ([None], False),
    ],
    ids=repr,
)
def test_what_one_dict_may_hold(some: list[Any], distinct: bool) -> None:
    """A dict takes 1 for True, so no list with a bool in it qualifies."""
    assert all_distinct_types(some) is distinct


@given(st.lists(keys, max_size=8))
def test_one_dict_holds_only_what_it_tells_apart(some: list[Any]) -> None:
    if all_distinct_types(some):
        assert len(set(some)) == len({encode_key(key) for key in some})


# --- groups ---


@given(st.lists(keys, max_size=8), st.integers(1, 300))
def test_groups_of_many_keys_are_those_of_each(some: list[Any], max_parallelism: int) -> None:
    expected = [key_group(key, max_parallelism) for key in some]
    assert key_groups(some, max_parallelism) == expected
    assert key_groups(some, max_parallelism) == expected  # now from the cache
    assert all(0 <= group < max_parallelism for group in expected)


def test_groups_are_the_same_in_another_process() -> None:
    """Whatever the seed of its `hash`."""
    code = "from state.keys import key_group; print(key_group(('user', 42, b'x'), 128))"
    for seed in ("1", "2"):
        command = [sys.executable, "-c", code]
        found = subprocess.run(
            command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        assert int(found) == key_group(("user", 42, b"x"), 128)


@pytest.fixture
def small_cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The cache of a parallelism that nothing else uses, with room for three keys."""
    monkeypatch.setattr(keys_module, "CACHED_KEYS", 3)
    yield keys_module._group_cache(997)
    keys_module._group_cache.cache_clear()  # pyright: ignore[reportFunctionMemberAccess]


def test_the_cache_is_bounded_and_keeps_the_frequent_keys(small_cache: Any) -> None:
    """A few new keys displace nothing; once as many have missed as it holds, it starts over."""
    key_groups(["a", "b", "c"], 997)
    for rare in range(2):
        key_groups([rare, "a"], 997)
        assert set(small_cache) == {"a", "b", "c"}
    key_groups(["d"], 997)
    assert set(small_cache) == {"d"}
    for key in range(50):
        assert key_groups([key], 997) == [key_group(key, 997)]
        assert len(small_cache) <= 3


@given(st.integers(1, 300), st.data())
def test_every_group_has_one_owner(max_parallelism: int, data: st.DataObject) -> None:
    """The ranges of all subtasks, one after the other, are all groups; both formulas agree."""
    parallelism = data.draw(st.integers(1, max_parallelism))
    ranges = [groups_of(subtask, parallelism, max_parallelism) for subtask in range(parallelism)]
    assert [group for groups in ranges for group in groups] == list(range(max_parallelism))
    for subtask, groups in enumerate(ranges):
        assert {subtask_of(group, parallelism, max_parallelism) for group in groups} == {subtask}
    sizes = {len(groups) for groups in ranges}
    assert max(sizes) - min(sizes) <= 1


def test_many_keys_are_spread_evenly() -> None:
    """No group of 128 has twice its share of 12,800 keys."""
    groups = key_groups([f"user-{number}" for number in range(12_800)], 128)
    assert max(groups.count(group) for group in range(128)) < 200
