"""Records to csv and to JSON lines: the same bytes however they were batched, or an error that names one."""

from __future__ import annotations

import csv
import io
import json
import reprlib
from collections import Counter, UserDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import FileSink
from connectors.files.csv_encoder import CsvEncoder
from connectors.files.jsonl_encoder import JsonlEncoder
from pipeline.core.errors import ConfigError, Fault, SinkError


class Named(NamedTuple):
    a: int
    b: str


@dataclass
class Data:
    a: int
    b: str


class Slotted(msgspec.Struct):
    a: int
    b: str


def encoder(fields: Sequence[str] | None = None, *, delimiter: str = ",", header: bool = True) -> CsvEncoder:
    return CsvEncoder(fields, delimiter, header=header)


texts = st.text(st.characters(codec="utf-8"), max_size=6)
rows = st.lists(st.fixed_dictionaries({"a": texts, "b": texts}), min_size=1, max_size=10)


@given(table=rows, cut=st.integers(0, 10))
def test_csv_comes_back_equal_and_does_not_depend_on_the_batches(table, cut) -> None:
    """Line ends of every kind, quotes and delimiters in values survive a reader of csv."""
    whole, parts = encoder(), encoder()
    data = whole.encode(table)
    cut = min(cut, len(table))
    pieces = [parts.encode(piece) for piece in (table[:cut], table[cut:]) if piece]
    assert b"".join(pieces) == data
    text = io.StringIO((whole.header() + data).decode(), newline="")
    assert list(csv.DictReader(text)) == table


@pytest.mark.parametrize(
    "record",
    [
        {"a": 1, "b": "x"},
        MappingProxyType({"a": 1, "b": "x"}),
        Named(1, "x"),
        Data(1, "x"),
        Slotted(1, "x"),
    ],
    ids=lambda record: type(record).__name__,
)
def test_records_that_name_their_fields_need_no_fields(record) -> None:
    """Their names make the header; given another order, that is the one written."""
    own = encoder()
    assert own.encode([record, record]) == b"1,x\n1,x\n"
    assert own.header() == b"a,b\n"
    turned = encoder(["b", "a"])
    assert turned.header() + turned.encode([record]) == b"b,a\nx,1\n"


def test_kinds_of_records_can_be_mixed() -> None:
    mixed = [{"b": "x", "a": 1}, (2, "y"), [3, "z"], Named(4, "v"), Data(5, "w")]
    assert encoder(["a", "b"]).encode(mixed) == b"1,x\n2,y\n3,z\n4,v\n5,w\n"


def test_tuples_need_names_for_a_header() -> None:
    with pytest.raises(SinkError, match="no names for the header") as caught:
        encoder().encode([(1, 2)])
    assert "header=False" in str(caught.value.hint)
    assert encoder(header=False).encode([(1, 2), [3, 4]]) == b"1,2\n3,4\n"


def test_one_field() -> None:
    """An empty value of a single field is quoted, or the line would be none."""
    one = encoder(delimiter=";")
    assert one.encode([{"a": "x;"}, {"a": None}, {"a": ""}]) == b'"x;"\n""\n""\n'


def test_values_are_written_as_text() -> None:
    values = [Decimal("1.10"), date(2013, 1, 1), None, True, 10**30, 1.5]
    assert (
        encoder(list("abcdef")).encode([values]) == b"1.10,2013-01-01,,True," + b"1" + b"0" * 30 + b",1.5\n"
    )


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"a": 1}, "the fields are a, b; it lacks b"),
        ({"a": 1, "b": 2, "c": 3}, "it also has c"),
        ({"a": 1, "c": 2}, "it lacks b and also has c"),
        (1.5, "a csv row cannot be made of type float"),
        ((1,), r"expected 2 values \(a, b\), found 1"),
        ("1,2", "a csv row cannot be made of type str"),
        (None, "a csv row cannot be made of type NoneType"),
        ({"a": "\ud800", "b": 1}, "surrogates not allowed"),
    ],
)
def test_a_record_that_does_not_fit_is_named(record, message) -> None:
    """Wherever it stands in its batch; nothing of the batch is taken."""
    one = encoder()
    one.encode([{"a": 0, "b": 0}])
    with pytest.raises(SinkError, match=message) as caught:
        one.encode([{"a": 5, "b": 5}, record, {"a": 6, "b": 6}])
    assert reprlib.repr(record) in str(caught.value)
    assert not caught.value.retryable
    assert one.encode([{"a": 1, "b": 2}]) == b"1,2\n"


@pytest.mark.parametrize("kind", [Counter, lambda fields: defaultdict(int, fields), UserDict])
def test_a_record_that_makes_up_what_it_lacks_is_refused_too(kind) -> None:
    """`Counter(a=1)["b"]` is 0: as many fields, but others, would lose one of them without a word."""
    one = encoder()
    with pytest.raises(SinkError, match="it lacks b and also has c"):
        one.encode([kind({"a": 1, "b": 2}), kind({"a": 1, "c": 3})])
    assert one.encode([kind({"b": 2, "a": 1})]) == b"1,2\n"


def test_records_without_names_are_all_of_one_length() -> None:
    """And have at least one value: an empty line is no record to whoever reads it."""
    one = encoder(header=False)
    assert one.encode([(1, 2)]) == b"1,2\n"
    with pytest.raises(SinkError, match="found 3"):
        one.encode([(1, 2, 3)])
    with pytest.raises(SinkError, match="it has no fields"):
        encoder(header=False).encode([()])


def test_a_record_that_cannot_be_written_is_the_users_fault() -> None:
    for writer, record in ((encoder(), 1.5), (JsonlEncoder(), object())):
        with pytest.raises(SinkError) as caught:
            writer.encode([record])
        assert caught.value.fault is Fault.USER


def test_a_named_record_with_other_names_is_refused() -> None:
    with pytest.raises(SinkError, match="it lacks c and also has b"):
        encoder(["a", "c"]).encode([Named(1, "x")])
    with pytest.raises(SinkError, match="it has no fields"):
        encoder().encode([{}])


def test_a_value_whose_str_raises_is_named_with_its_cause() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = object.__repr__

    with pytest.raises(SinkError, match="no text") as caught:
        encoder().encode([{"a": 1}, {"a": Broken()}])
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_long_records_are_shortened_in_messages() -> None:
    with pytest.raises(SinkError) as caught:
        encoder(["a"]).encode(["x" * 10_000])
    assert len(str(caught.value)) < 300


def test_jsonl_of_what_a_row_can_hold() -> None:
    """One line each, in the record's own order of fields."""
    when = datetime(2013, 1, 1, 5, tzinfo=UTC)
    record = {
        "z": Decimal("1.10"),
        "a": UUID(int=1),
        "when": when,
        "day": when.date(),
        "big": 10**30,
        "bytes": b"x",
        "none": None,
        "nested": [{"text": "line\nend"}],
    }
    data = JsonlEncoder().encode([record, Data(1, "x"), Named(2, "y")])
    first, second, third = data.decode().splitlines()
    assert first.startswith('{"z":"1.10","a":"00000000-0000-0000-0000-000000000001"')
    assert json.loads(first)["big"] == 10**30
    assert json.loads(first)["when"] == "2013-01-01T05:00:00Z"
    assert json.loads(first)["nested"] == [{"text": "line\nend"}]
    assert (second, third) == ('{"a":1,"b":"x"}', '[2,"y"]')
    assert data.endswith(b"\n")


@pytest.mark.parametrize("value", [object(), {(1, 2): 3}, "\ud800"])
def test_what_json_cannot_hold_is_named(value) -> None:
    with pytest.raises(SinkError, match="cannot write the record") as caught:
        JsonlEncoder().encode([{"fine": 1}, {"here": value}])
    assert "here" in str(caught.value)
    assert caught.value.__cause__ is not None
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "r.csv", "fields": []}, "fields must be different names"),
        ({"path": "r.csv", "fields": ["a", "a"]}, "fields must be different names"),
        ({"path": "r.csv", "fields": "ab"}, "fields must be different names"),
        ({"path": "r.jsonl", "header": False}, "options of csv, not of jsonl"),
        ({"path": "r"}, "does not tell the format"),
        ({"path": "r.csv.gz"}, "not supported"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_starts(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        FileSink(**arguments)
