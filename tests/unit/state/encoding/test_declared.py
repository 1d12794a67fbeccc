"""Classes of the user's: built again only where declared, field by field."""

from __future__ import annotations

import dataclasses
import enum
from collections import namedtuple
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Generic, NamedTuple, Optional, TypeVar, Union

import msgspec
import pytest

from pipeline.core.errors import EncodingError
from state.encoding import Codec
from state.encoding.declared import DeclaredTypes
from tests.unit.state.values import Access, Account, Color, Frozen, Level, Mask, Point, Trade, Word, picture

T = TypeVar("T")


@dataclasses.dataclass
class Inner:
    color: Color


@dataclasses.dataclass
class Outer:
    inner: Inner | None
    points: list[Point]
    next: Outer | None = None


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


def roundtrip(value: Any, declared: Any) -> Any:
    codec = Codec("x", declared)
    return codec.decode(codec.encode(value))


VALUES = [
    Color.RED,
    Level.HIGH,
    Word.YES,
    Access.READ | Access.WRITE,
    Access(0),
    Mask(8),
    Point(1, 2),
    Trade("a", 1),
    Frozen(1, (2,)),
    Account("a", 3),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_class_comes_back_only_where_it_is_declared(value: Any) -> None:
    assert picture(roundtrip(value, type(value))) == picture(value)
    name = type(value).__qualname__
    with pytest.raises(
        EncodingError, match=rf"a .*\.{name} is stored only where its class is declared"
    ) as refused:
        Codec("x").encode(value)
    assert refused.value.hint == f"declare it: value_type={name}"
    with pytest.raises(
        EncodingError, match=f"stored is a {name}, which is not a declared type here"
    ) as refused:
        Codec("x", Box).decode(Codec("x", type(value)).encode(value))
    assert refused.value.hint == f"declare it: value_type={name}"


@pytest.mark.parametrize(
    "declared",
    [
        Trade,
        list[Trade],
        dict[str, tuple[Trade, ...]],
        Trade | None,
        Optional[Trade],  # noqa: UP045 - as users may write it
        Union[int, Trade],  # noqa: UP007
        (int, Trade),
        (int, (str, list[Trade])),
        Annotated[Trade, "meta"],
        Callable[[int], Trade],
        Mapping[Color, Trade],
        Box[Trade],
    ],
    ids=str,
)
def test_ways_to_declare(declared: Any) -> None:
    assert roundtrip(Trade("a", 1), declared) == Trade("a", 1)


def test_what_a_declared_class_has_as_fields_is_declared_with_it() -> None:
    value = Outer(Inner(Color.BLUE), [Point(1)], Outer(None, []))
    assert picture(roundtrip(value, Outer)) == picture(value)


def test_a_generic_class_is_declared_with_its_arguments() -> None:
    value = Box(Trade("a", 1))
    assert roundtrip(value, Box[Trade]) == value
    assert roundtrip(Box[Trade](Trade("a", 1)), Box[Trade]) == value


def test_types_that_cannot_be_found_are_declared_beside_the_class() -> None:
    class Hidden(NamedTuple):
        x: int

    @dataclasses.dataclass
    class Holder:
        hidden: Hidden

    value = Holder(Hidden(1))
    with pytest.raises(EncodingError, match="Hidden is stored only where its class is declared"):
        Codec("x", Holder).encode(value)
    assert roundtrip(value, (Holder, Hidden)) == value


def test_a_class_of_the_same_name_is_another_class() -> None:
    other = type("Trade", (), {"__qualname__": "Trade"})
    other = dataclasses.make_dataclass("Trade", ["symbol", "price"])
    with pytest.raises(EncodingError, match="is stored only where its class is declared"):
        Codec("x", Trade).encode(other("a", 1))
    with pytest.raises(EncodingError, match="two declared types are called Trade") as refused:
        Codec("state 'x'", (Trade, other))
    assert refused.value.message.startswith("state 'x'")
    assert refused.value.hint == "rename one of them"


def test_a_subclass_of_a_declared_class_is_declared_by_itself() -> None:
    @dataclasses.dataclass
    class Option(Trade):
        strike: int = 0

    with pytest.raises(EncodingError, match="Option is stored only where its class is declared"):
        Codec("x", Trade).encode(Option("a", 1, 2))


# --- how fields are stored ---


def test_building_runs_no_init() -> None:
    """What `__init__` or `__post_init__` computed is stored, and not computed again."""
    calls: list[str] = []

    @dataclasses.dataclass
    class Counted:
        start: dataclasses.InitVar[int]
        count: int = dataclasses.field(init=False)

        def __post_init__(self, start: int) -> None:
            calls.append("made")
            self.count = start * 2

    value = Counted(2)
    value.count += 1
    copy = roundtrip(value, Counted)
    assert (copy, copy.count, calls) == (value, 5, ["made"])


def test_a_struct_has_the_fields_that_were_stored_whatever_it_computes() -> None:
    class Counter(msgspec.Struct, frozen=True):
        count: int

        def __post_init__(self) -> None:
            msgspec.structs.force_setattr(self, "count", self.count + 1)

    assert roundtrip(Counter(1), Counter).count == 2


def test_a_named_tuple_runs_no_code_of_its_class() -> None:
    class Strict(NamedTuple("Strict", [("x", int)])):
        __slots__ = ()

        def __new__(cls, x: int) -> Strict:
            raise AssertionError("not called")

    value = Strict._make([1])
    assert picture(roundtrip(value, Strict)) == picture(value)


def test_attributes_beside_the_fields_are_refused_and_not_lost() -> None:
    @dataclasses.dataclass
    class Area:
        side: int

        def __post_init__(self) -> None:
            self.size = self.side**2

    with pytest.raises(EncodingError, match=r"a .*Area has attributes beside its fields: size") as refused:
        Codec("x", Area).encode(Area(2))
    assert "make them fields" in str(refused.value.hint)


def test_a_cached_property_is_computed_again() -> None:
    @dataclasses.dataclass
    class Area:
        side: int

        @cached_property
        def size(self) -> int:
            return self.side**2

    area = Area(2)
    assert area.size == 4
    copy = roundtrip(area, Area)
    assert vars(copy) == {"side": 2}
    assert copy.size == 4


@pytest.mark.parametrize(
    "base", [dict, list, set, tuple, str, int, ValueError], ids=lambda base: base.__name__
)
def test_a_dataclass_with_content_beside_its_fields_is_refused(base: type) -> None:
    cls = dataclasses.make_dataclass("Bag", [("x", int, 0)], bases=(base,))
    with pytest.raises(EncodingError, match=r"would be restored as a plain|cannot be stored"):
        Codec("x", cls).encode(cls())


def test_an_enum_is_stored_by_name_and_a_flag_by_value() -> None:
    """A member's value may change between versions, its name may not."""
    before = enum.Enum("Side", {"BUY": 1, "SELL": 2}, qualname="Side")
    after = enum.Enum("Side", {"SELL": "s", "BUY": "b"}, qualname="Side")
    assert Codec("x", after).decode(Codec("x", before).encode(before["BUY"])) is after["BUY"]
    gone = enum.Enum("Side", {"SELL": 1}, qualname="Side")
    with pytest.raises(EncodingError, match="BUY"):
        Codec("x", gone).decode(Codec("x", before).encode(before["BUY"]))


# --- classes that change between versions of a job ---


def versions(kind: str) -> tuple[Any, Any, Any, Any]:
    """Four versions of one class: as stored; with a default added; with a factory; without a default."""
    old: list[Any] = [("a", int), ("b", int)]
    added: Any = ("c", int)
    make: Any
    if kind == "dataclass":
        make = dataclasses.make_dataclass
        factory: Any = dataclasses.field(default_factory=list)
    elif kind == "struct":
        make, factory = msgspec.defstruct, msgspec.field(default_factory=list)
    else:
        make = namedtuple
        default = make("V", "a b c", defaults=[7])
        return make("V", "a b"), default, default, make("V", "a b c")
    return (
        make("V", old),
        make("V", [*old, (*added, 7)]),
        make("V", [*old, ("c", list, factory)]),
        make("V", [*old, added]),
    )


@pytest.mark.parametrize("kind", ["dataclass", "struct", "namedtuple"])
def test_an_added_field_takes_its_default(kind: str) -> None:
    old, with_default, with_factory, without = versions(kind)
    stored = Codec("x", old).encode([old(1, 2), old(3, 4)])
    assert Codec("x", with_default).decode(stored) == [with_default(1, 2), with_default(3, 4)]
    first, second = Codec("x", with_factory).decode(stored)
    assert first == with_factory(1, 2)
    assert first.c is not second.c or kind == "namedtuple"
    with pytest.raises(EncodingError, match=r"a stored V has fields a, b, the class has a, b, c") as refused:
        Codec("x", without).decode(stored)
    assert refused.value.hint == "give added fields a default, keep the others"


@pytest.mark.parametrize("kind", ["dataclass", "struct", "namedtuple"])
def test_a_removed_field_is_not_lost_silently(kind: str) -> None:
    old, newer, _, _ = versions(kind)
    with pytest.raises(EncodingError, match=r"a stored V has fields a, b, c, the class has a, b"):
        Codec("x", old).decode(Codec("x", newer).encode(newer(1, 2, 3)))


def test_fields_in_another_order_stay_with_their_names() -> None:
    before, after = NamedTuple("V", [("a", int), ("b", int)]), NamedTuple("V", [("b", int), ("a", int)])
    assert Codec("x", after).decode(Codec("x", before).encode(before(a=1, b=2))) == after(a=1, b=2)


def test_nothing_declared_declares_nothing() -> None:
    for declared in (None, int, list, Any, Generic, vars(Box)["__orig_bases__"][0], "Trade", (1, [Trade])):
        with pytest.raises(EncodingError, match="not a declared type"):
            DeclaredTypes(declared).build(["Trade", {}])
