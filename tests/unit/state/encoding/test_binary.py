"""Codec: a value comes back from its bytes equal and of the same type, or is refused by name."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from psycopg.types.range import Range

from pipeline.core.errors import EncodingError
from state.encoding import Codec
from state.encoding.binary import FORMAT, VERSION
from tests.unit.state.values import DECLARED, Trade, picture, values

codec = Codec("state 'x' of operator reduce:sum", DECLARED)


class Money(Decimal):
    pass


class Paris(tzinfo):
    def utcoffset(self, dt: datetime | None) -> timedelta:
        return timedelta(hours=1)


def test_example() -> None:
    """The example in the docstring of `Codec`."""
    plain = Codec("total")
    assert plain.decode(plain.encode((1, Decimal("2.50")))) == (1, Decimal("2.50"))


@settings(max_examples=200, deadline=None)
@given(values())
def test_every_value_comes_back_the_same(value: Any) -> None:
    """Whatever is nested in whatever: equal, and of the same types all the way down."""
    assert picture(codec.decode(codec.encode(value))) == picture(value)


@pytest.mark.parametrize(
    "value",
    [
        [1, 2**64, "a"],
        [0, -(2**63) - 1],
        ["a", "\ud800"],
        {"a": 1, "b": "\udfff"},
        {"\ud800": 1},
        {2**64: "key", "b": None},
        [{"a": [1, (2, 2**70)]}],
    ],
    ids=repr,
)
def test_what_msgpack_cannot_hold_among_what_it_can(value: Any) -> None:
    """The fast way gives up and the careful one takes over: with the same result."""
    assert picture(codec.decode(codec.encode(value))) == picture(value)


def test_integers_at_the_borders_of_64_bits() -> None:
    for border in (-(2**63), 2**63, 2**64):
        for value in (border - 1, border, border + 1):
            assert picture(codec.decode(codec.encode([value, {value: value}]))) == picture(
                [value, {value: value}]
            )


def test_an_integer_of_any_length() -> None:
    """Longer than the 4,300 digits that Python turns into text."""
    value = -(7**20_000)
    assert codec.decode(codec.encode(value)) == value


def test_encoding_takes_no_notice_of_what_changes_later() -> None:
    value: dict[str, Any] = {"a": [1, 2], "b": {"c": None}}
    data = codec.encode(value)
    value["a"].append(3)
    assert codec.decode(data) == {"a": [1, 2], "b": {"c": None}}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (OrderedDict(a=1), "dict"),
        (defaultdict(int), "dict"),
        (Counter("ab"), "dict"),
        (Money("1.0"), "Decimal"),
        (type("Name", (str,), {})("x"), "str"),
        (type("Row", (list,), {})([1]), "list"),
        (type("Failure", (set,), {})(), "set"),
    ],
    ids=lambda item: type(item).__name__,
)
def test_a_subclass_is_refused_and_not_made_plain(value: Any, plain: str) -> None:
    with pytest.raises(EncodingError, match=f"would be restored as a plain {plain} ") as refused:
        codec.encode([value])
    assert refused.value.message.startswith("state 'x' of operator reduce:sum: a ")
    assert type(value).__qualname__ in refused.value.message
    assert f"convert it to {plain} first" in str(refused.value.hint)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        1j,
        range(3),
        deque([1]),
        Fraction(1, 3),
        PurePosixPath("a"),
        memoryview(b"a"),
        ValueError("x"),
        int,
        len,
        lambda: 1,
        (item for item in ()),
        Range(1, 2),
        msgspec.UNSET,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_stored_is_refused_by_its_type(value: Any) -> None:
    """The message has owner and type, the hint says what to do."""
    with pytest.raises(EncodingError, match="cannot be stored and restored as an equal value") as refused:
        codec.encode({"a": (value,)})
    assert "state 'x' of operator reduce:sum" in refused.value.message
    assert f"{type(value).__module__}.{type(value).__qualname__}" in refused.value.message
    assert "value_type" in str(refused.value.hint)


def test_a_time_zone_of_another_library_is_refused() -> None:
    with pytest.raises(EncodingError, match=r"a time zone of type .*Paris cannot be stored") as refused:
        codec.encode(datetime(2020, 1, 1, tzinfo=Paris()))
    assert "ZoneInfo" in str(refused.value.hint)


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(EncodingError, match="nested more than 128 levels deep"):
        codec.encode(endless)


def test_what_a_value_raises_while_it_is_taken_apart_is_the_cause() -> None:
    half = Trade.__new__(Trade)  # has no fields yet
    with pytest.raises(
        EncodingError, match=r"state 'x'.*a Trade cannot be stored: AttributeError"
    ) as refused:
        codec.encode(half)
    assert isinstance(refused.value.__cause__, AttributeError)


def test_check_refuses_what_encode_refuses_and_returns_nothing() -> None:
    codec.check((1, {"a": Trade("x", 1)}))
    with pytest.raises(EncodingError):
        codec.check(object())


# --- stored bytes ---


def test_the_bytes_say_what_they_are() -> None:
    """Format, version, content; a change of these makes old checkpoints unreadable."""
    assert codec.encode([1, "a"]) == bytes((0xC1, 1, 1)) + b"\x92\x01\xa1a"


@pytest.mark.parametrize("data", [b"", b"\xc1\x01", b"\x92\x01\x02\x03", b"PKST\x01"], ids=repr)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(EncodingError, match=r"state 'x'.*these bytes are not an encoded value"):
        codec.decode(data)


@pytest.mark.parametrize("header", [(FORMAT, VERSION + 1, 1), (FORMAT, VERSION, 3)])
def test_a_newer_format_is_refused(header: tuple[int, int, int]) -> None:
    with pytest.raises(EncodingError, match="this version reads up to 1") as refused:
        codec.decode(bytes(header) + b"\x01")
    assert refused.value.hint == "upgrade to the version that wrote it"


def test_damaged_bytes_are_refused() -> None:
    """Cut anywhere, the bytes of a value are not another value."""
    data = codec.encode([1, {"a": Decimal("1.5")}, (2, "x")])
    for end in range(len(data)):
        with pytest.raises(EncodingError):
            codec.decode(data[:end])
    with pytest.raises(EncodingError, match="stored bytes cannot be read"):
        codec.decode(data + b"\x00")


def test_an_unknown_type_code_is_refused() -> None:
    body = msgspec.msgpack.encode(msgspec.msgpack.Ext(99, b"\x01"))
    with pytest.raises(EncodingError, match="type code 99 is unknown") as refused:
        codec.decode(bytes((FORMAT, VERSION, 1)) + body)
    assert "newer version" in str(refused.value.hint)


# --- pickle ---


def test_pickle_only_where_the_descriptor_asks() -> None:
    """It stores what the encoding refuses; read without being asked for, it runs nothing."""
    pickling = Codec("x", pickle=True)
    stored = pickling.encode(deque([1]))
    assert pickling.decode(stored) == deque([1])
    with pytest.raises(EncodingError, match="stored is a pickle, which may run code") as refused:
        codec.decode(stored)
    assert "pickle=True" in str(refused.value.hint)


def test_values_stored_before_pickle_was_asked_for_are_still_read() -> None:
    assert Codec("x", pickle=True).decode(Codec("x").encode((1, 2))) == (1, 2)


def test_what_cannot_be_pickled_is_refused() -> None:
    with pytest.raises(EncodingError, match="x: a function cannot be stored"):
        Codec("x", pickle=True).encode(lambda: 1)


@pytest.mark.parametrize(
    ("made", "tag"),
    [
        (Codec("x"), "any"),
        (Codec("x", Trade), "Trade"),
        (Codec("x", list[int]), "list[int]"),
        (Codec("x", Trade, pickle=True), "pickle"),
    ],
)
def test_the_declared_type_has_a_name(made: Codec, tag: str) -> None:
    """A snapshot says what a state's values are, for people who look into it."""
    assert made.type_tag == tag
