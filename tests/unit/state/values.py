"""Values of every type that state can hold, nested in each other, and how to tell them apart exactly."""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
from collections.abc import Callable, Hashable
from datetime import datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import strategies as st

T = TypeVar("T")


class Color(enum.Enum):
    RED = 1
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    YES = "yes"


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Mask(enum.IntFlag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: Any
    y: Any = None


@dataclasses.dataclass
class Trade:
    symbol: Any
    price: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    left: Any
    right: Any


class Account(msgspec.Struct):
    owner: Any
    balance: Any = msgspec.field(name="sum", default=0)


class Reading(msgspec.Struct, frozen=True):
    value: Any


DECLARED = (Color, Level, Word, Access, Mask, Point, Trade, Frozen, Account, Reading)
"""What a descriptor has to declare for the values of `values()`."""


def picture(value: Any) -> Any:
    """Return what is equal only for values that are equal and of the same types all the way down."""
    kind = type(value)
    if kind in _CONTENT:
        content = _CONTENT[kind](value)
    elif isinstance(value, tuple):  # a named one
        content = _items(value)
    elif isinstance(value, msgspec.Struct):
        content = [picture(getattr(value, name)) for name in value.__struct_fields__]
    elif dataclasses.is_dataclass(value):
        content = [picture(getattr(value, field.name)) for field in dataclasses.fields(value)]
    else:
        content = value
    return kind, content


def _moment(value: Any) -> Any:
    return value.replace(tzinfo=None).isoformat(), value.fold, picture(value.tzinfo)


def _items(value: Any) -> Any:
    return [picture(item) for item in value]


def _unordered(value: Any) -> Any:
    return sorted(repr(picture(item)) for item in value)


_CONTENT: dict[type, Callable[[Any], Any]] = {
    float: float.hex,
    Decimal: str,
    datetime: _moment,
    time: _moment,
    timezone: lambda zone: (zone.utcoffset(None), zone.tzname(None)),
    ZoneInfo: lambda zone: zone.key,
    set: _unordered,
    frozenset: _unordered,
    dict: lambda items: _items(items.items()),
    list: _items,
    tuple: _items,
}


fixed_offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23))
zones = st.one_of(
    st.sampled_from([ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")]),
    st.builds(timezone, fixed_offsets),
    st.builds(timezone, fixed_offsets, st.sampled_from(["CET", "UTC", "ß"])),
)
folds = st.sampled_from([0, 1])


def _folded(moment: Any, fold: int) -> Any:
    return moment.replace(fold=fold)


def _decimal(sign: int, digits: list[int], exponent: Any) -> Decimal:
    return Decimal((sign, tuple(digits), exponent))


decimals = st.one_of(
    st.decimals().filter(lambda number: not number.is_snan()),
    st.builds(_decimal, folds, st.lists(st.integers(0, 9), min_size=1), st.integers(-9999, 9999)),
    st.sampled_from([Decimal(text) for text in ("NaN", "-NaN7", "Infinity", "-Infinity", "-0", "0E+5")]),
)
texts = st.one_of(st.text(), st.text(st.characters(categories=["Cs", "Lu"]), max_size=3))
integers = st.one_of(st.integers(), st.integers(-(2**200), 2**200), st.sampled_from([2**64, -(2**63) - 1]))
networks = st.one_of(
    st.builds(
        lambda ip, bits: ipaddress.ip_network((ip, bits), strict=False),
        st.ip_addresses(v=4),
        st.integers(0, 32),
    ),
    st.builds(
        lambda ip, bits: ipaddress.ip_network((ip, bits), strict=False),
        st.ip_addresses(v=6),
        st.integers(0, 128),
    ),
    st.builds(lambda ip, bits: ipaddress.ip_interface((ip, bits)), st.ip_addresses(v=4), st.integers(0, 32)),
    st.builds(lambda ip, bits: ipaddress.ip_interface((ip, bits)), st.ip_addresses(v=6), st.integers(0, 128)),
)
enums = st.sampled_from(
    [*Color, *Level, *Word, *Access, Access(0), Access.READ | Access.WRITE, Mask.A | Mask.B, Mask(8), ~Mask.A]
)
hashable_scalars: st.SearchStrategy[Hashable] = st.one_of(
    st.none(),
    st.booleans(),
    integers,
    st.floats(allow_nan=False),
    texts,
    st.binary(),
    decimals,
    st.dates(),
    st.builds(_folded, st.times(timezones=st.none() | zones), folds),
    st.builds(_folded, st.datetimes(timezones=st.none() | zones), folds),
    st.timedeltas(),
    zones,
    st.uuids(),
    st.ip_addresses(),
    networks,
    enums,
)


def _tersely(strategy: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """Draw from `strategy`, with a short repr: hypothesis prints it where a draw is repeated."""
    return st.none().flatmap(lambda _: strategy)


def _holding_hashables(inner: st.SearchStrategy[Hashable]) -> st.SearchStrategy[Hashable]:
    return st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Frozen, inner, inner),
        st.builds(Reading, inner),
    )


hashables: st.SearchStrategy[Hashable] = _tersely(
    st.recursive(hashable_scalars, lambda inner: _holding_hashables(_tersely(inner)), max_leaves=4)
)
scalars: st.SearchStrategy[Any] = st.one_of(
    hashable_scalars,
    st.binary().map(bytearray),
    st.sampled_from([float("nan"), -0.0, float("-inf"), Decimal("sNaN"), Decimal("-sNaN12")]),
)


def _holding_values(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.sets(hashables, max_size=4),
        st.frozensets(hashables, max_size=4),
        st.dictionaries(hashables, inner, max_size=4),
        st.dictionaries(st.text(), inner, max_size=4),
        st.builds(Trade, inner, inner),
        st.builds(Point, inner, inner),
        st.builds(Account, inner, inner),
    )


_nested: st.SearchStrategy[Any] = st.recursive(
    scalars, lambda inner: _holding_values(_tersely(inner)), max_leaves=8
)


@st.composite
def values(draw: st.DrawFn) -> Any:
    """Everything, nested; the classes in it are those of `DECLARED`. (Composite: a short repr.)"""
    return draw(_nested)
