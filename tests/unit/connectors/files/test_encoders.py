"""Records to csv and to JSON lines: the same bytes however they were batched, or an error that names one."""

from __future__ import annotations

import csv
import io
import json
import math
import reprlib
from collections import Counter, UserDict, defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import FileSink, FileSource
from connectors.files.csv_encoder import CsvEncoder
from connectors.files.formats import Quoting
from connectors.files.jsonl_encoder import JsonlEncoder
from pipeline.core.errors import ConfigError, Fault, SinkError
from pipeline.testing.connectors import SourceDriver


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


def encoder(fields: Sequence[str] | None = None, *, delimiter: str = ",", **options: Any) -> CsvEncoder:
    header = options.pop("header", True)
    return CsvEncoder(fields, delimiter, header=header, **options)


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
    assert one.encode([{"a": "x"}, {"a": ""}]) == b'x\n""\n'


class Color(Enum):
    RED = "red"
    NONE = 0


class Level(IntEnum):
    HIGH = 3


class Address:
    def __str__(self) -> str:
        return "10.0.0.1"


_NUMBERS = '{"a":null,"b":[true,0.5],"c":9.123456789123456789}'
INSTANT = datetime(2013, 1, 1, 5, tzinfo=UTC)
TEXTS: list[tuple[Any, str]] = [
    (Decimal("1.10"), "1.10"),
    (Decimal("1E-7"), "0.0000001"),
    (Decimal("-1.5E+3"), "-1500"),
    (Decimal("Infinity"), "Infinity"),
    (1e-7, "1e-07"),
    (1.5, "1.5"),
    (10**30, "1" + "0" * 30),
    (True, "True"),
    (None, ""),
    (date(2013, 1, 1), "2013-01-01"),
    (time(5, 0, 0, 5), "05:00:00.000005"),
    (INSTANT, "2013-01-01T05:00:00+00:00"),
    (INSTANT.replace(tzinfo=None, microsecond=5), "2013-01-01T05:00:00.000005"),
    (timedelta(days=1, hours=2, minutes=3, seconds=4, microseconds=500_000), "P1DT2H3M4.5S"),
    (timedelta(hours=-1), "PT-1H"),
    (timedelta(days=-1, microseconds=-5), "P-1DT-0.000005S"),
    (timedelta(days=7), "P7D"),
    (timedelta(minutes=100), "PT1H40M"),
    (timedelta(seconds=20), "PT20S"),
    (timedelta(), "PT0S"),
    (b"\x00\xde'", r"\x00de27"),
    (bytearray(b"\xff"), r"\xff"),
    (memoryview(b""), r"\x"),
    ({"a": None, "b": [True, 0.5], "c": Decimal("9.123456789123456789")}, _NUMBERS),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Color.RED, "red"),
    (Color.NONE, "0"),
    (Level.HIGH, "3"),
    (Address(), "10.0.0.1"),
    ([1, None, "x"], '[1,null,"x"]'),
    ((1, (2, 3)), "[1,[2,3]]"),
    ({1}, "[1]"),
    (deque([1]), "[1]"),
    (range(2), "[0,1]"),
    (MappingProxyType({"a": UserDict(b=date(2013, 1, 1))}), '{"a":{"b":"2013-01-01"}}'),
    (Data(1, "x"), '{"a":1,"b":"x"}'),
    (Slotted(1, "x"), '{"a":1,"b":"x"}'),
    (["NaN"], '["NaN"]'),
]
"""What values are in a csv file: nothing that only Python reads."""


@pytest.mark.parametrize(("value", "text"), TEXTS, ids=lambda one: type(one).__name__)
def test_a_value_is_a_text_that_other_programs_read(value, text) -> None:
    """Alone, with values of its own type, and with any others in its column."""
    assert written([value]) == [text]
    assert written([value] * 3) == [text] * 3
    assert written([None, value, "x", value, 1]) == ["", text, "x", text, "1"]


def test_every_type_in_one_column() -> None:
    assert written([value for value, _ in TEXTS]) == [text for _, text in TEXTS]


def written(values: list[Any]) -> list[str]:
    """Return the fields of one column as a reader of csv sees them."""
    data = encoder(["n", "v"]).encode([(n, value) for n, value in enumerate(values)])
    return [text for _, text in csv.reader(io.StringIO(data.decode(), newline=""))]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "v is of type object, which has no text form"),
        ({"a": object()}, "object has no form in JSON"),
        ([Decimal("NaN")], "JSON is malformed"),
        ({(1, 2): 3}, "tuple cannot be a key in JSON"),
    ],
)
def test_a_value_without_a_text_is_refused_by_its_field(value, message) -> None:
    """What Python shows of it is where in memory it is, or how it would be written in a program."""
    with pytest.raises(SinkError, match=message) as caught:
        encoder(["n", "v"]).encode([(1, 5), (2, value)])
    assert "cannot write the record (2, " in caught.value.message
    assert caught.value.fault is Fault.USER


def test_none_and_an_empty_text_are_told_apart_on_wish() -> None:
    r"""As PostgreSQL reads it with `NULL '\N'`; a text that would be taken for None is refused."""
    one = encoder(["a", "b"], null=r"\N")
    assert one.encode([(None, ""), ("x", None), (None, None)]) == b"\\N,\nx,\\N\n\\N,\\N\n"
    with pytest.raises(SinkError, match=r"b is the text '\\\\N', which stands for None"):
        one.encode([("x", None), ("y", r"\N")])


@pytest.mark.parametrize("value", [0, Decimal(0), b"\x00", Level.HIGH, timedelta(), True])
def test_a_text_that_stands_for_none_is_refused_whatever_it_is_the_text_of(value) -> None:
    (text,) = written([value])
    with pytest.raises(SinkError, match="which stands for None"):
        encoder(["n", "v"], null=text).encode([(1, None), (2, value)])
    assert encoder(["n", "v"], null=text).encode([(1, None)]) == f"1,{text}\n".encode()


class TestQuoting:
    """Quotes where a field needs them, or never."""

    def unquoted(self, *values: Any) -> bytes:
        return encoder(["a", "b"], delimiter="\t", quoting=Quoting.NONE).encode([values])

    def test_a_quote_is_a_character(self) -> None:
        assert self.unquoted('"Heroes', '12"') == b'"Heroes\t12"\n'
        assert encoder(["a", "b"]).encode([('"Heroes', '12"')]) == b'"""Heroes","12"""\n'

    @pytest.mark.parametrize("value", ["a\tb", "a\nb", "a\rb"])
    def test_what_would_need_quotes_is_refused(self, value) -> None:
        with pytest.raises(SinkError, match="has a delimiter or a line end in it") as caught:
            self.unquoted("x", value)
        assert 'quoting="minimal"' in str(caught.value.hint)

    def test_tab_separated_values_come_back_as_they_were(self, tmp_path) -> None:
        """A sink and a source take the same for granted of the same suffix."""
        path = tmp_path / "t.tsv"
        record = {"a": '"x', "b": '"y"'}
        path.write_bytes(encoder(None, delimiter="\t", quoting=Quoting.NONE).encode([record]))
        with SourceDriver(FileSource(path, fields=["a", "b"])) as driver:
            assert driver.take(2) == [record]


class TestExpectedFields:
    """Where no record tells the names of the fields, the source may."""

    def test_they_make_the_header_of_a_file_without_records(self) -> None:
        assert encoder(None, expected=["a", "b"]).header() == b"a,b\n"
        assert encoder(["x"], expected=["a", "b"]).header() == b"x\n"
        assert encoder(None, expected=["a", "b"], header=False).header() == b""

    def test_they_name_what_has_no_names(self) -> None:
        one = encoder(None, expected=["a", "b"])
        assert one.encode([(1, 2)]) == b"1,2\n"
        assert one.header() == b"a,b\n"
        with pytest.raises(SinkError, match="no names for the header"):
            encoder(None, expected=["a", "b"]).encode([(1, 2, 3)])

    def test_records_that_name_their_fields_know_better(self) -> None:
        one = encoder(None, expected=["a", "b"])
        one.encode([{"b": 1, "c": 2}])
        assert one.header() == b"b,c\n"


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
    """Wherever it is in its batch; nothing of the batch is taken."""
    one = encoder()
    one.encode([{"a": 0, "b": 0}])
    with pytest.raises(SinkError, match=message) as caught:
        one.encode([{"a": 5, "b": 5}, record, {"a": 6, "b": 6}])
    assert reprlib.repr(record) in str(caught.value)
    assert not caught.value.retryable
    assert one.encode([{"a": 1, "b": 2}]) == b"1,2\n"


@pytest.mark.parametrize("kind", [Counter, lambda fields: defaultdict(int, fields), UserDict])
def test_a_record_that_makes_up_what_it_lacks_is_refused_too(kind) -> None:
    """`Counter(a=1)["b"]` is 0: as many fields, but others, would silently lose one of them."""
    one = encoder()
    with pytest.raises(SinkError, match="it lacks b and also has c"):
        one.encode([kind({"a": 1, "b": 2}), kind({"a": 1, "c": 3})])
    assert one.encode([kind({"b": 2, "a": 1})]) == b"1,2\n"


def test_records_without_names_are_all_of_one_length() -> None:
    """And have at least one value: a reader does not take an empty line for a record."""
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


@pytest.mark.parametrize("record", [{1: "x", "1": "y"}, {None: "x", "": "y"}])
def test_two_fields_of_one_name_are_refused(record) -> None:
    """Who reads the file could not tell them apart; without a header they have no names."""
    with pytest.raises(SinkError, match="two of its fields would be called"):
        encoder().encode([record])
    assert encoder(header=False).encode([record]) == b"x,y\n"


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
    assert first.startswith('{"z":1.10,"a":"00000000-0000-0000-0000-000000000001"')
    assert json.loads(first)["big"] == 10**30
    assert json.loads(first)["when"] == "2013-01-01T05:00:00Z"
    assert json.loads(first)["nested"] == [{"text": "line\nend"}]
    assert (second, third) == ('{"a":1,"b":"x"}', '[2,"y"]')
    assert data.endswith(b"\n")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("123456789.123456789123"), "123456789.123456789123"),
        (Decimal("1E-7"), "1E-7"),
        (Decimal("-1E+400"), "-1E+400"),
        (Decimal("-0.0"), "-0.0"),
        (["NaN", "Infinity", None, Decimal("0.5")], '["NaN","Infinity",null,0.5]'),
        (datetime(2013, 1, 1, 5, tzinfo=timezone(timedelta(hours=-5))), '"2013-01-01T05:00:00-05:00"'),
        ({"a": None, "b": 10**30, "c": b"\xcb\x7f\xf8"}, '{"a":null,"b":1' + "0" * 30 + ',"c":"y3/4"}'),
    ],
)
def test_what_looks_like_it_is_written_as_it_is(value, text) -> None:
    """A Decimal is a number, inside structures too: a number of a JSON column must not become a text."""
    assert JsonlEncoder().encode([{"v": value}]).decode() == f'{{"v":{text}}}\n'
    assert json.loads(text, parse_float=Decimal) is not None


AMSTERDAM = timezone(timedelta(minutes=19, seconds=32))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": None, "b": math.nan}, "['b'] is nan"),
        ({"b": [1.0, {"c": -math.inf}]}, "['b'][1]['c'] is -inf"),
        ({"a": 1, "b": Decimal("NaN")}, "['b'] is NaN"),
        ([None, (Decimal("-Infinity"),)], "[1][0] is -Infinity"),
        (math.inf, "it is inf"),
        ([datetime(1890, 1, 1, tzinfo=AMSTERDAM)], "[0] is 1890-01-01 00:00:00+00:19:32"),
        ({"at": time(10, tzinfo=timezone(-timedelta(hours=15, seconds=59)))}, "['at'] is 10:00:00-15:00:59"),
    ],
)
def test_what_json_has_no_form_for_is_refused_by_its_place(value, place) -> None:
    """As `null` it would be read as a value that is missing, as `+00:20` as another instant."""
    with pytest.raises(SinkError, match="for which JSON has no form") as caught:
        JsonlEncoder().encode([{"fine": 1}, value, {"fine": "x"}])
    assert f": {place}" in caught.value.message
    assert caught.value.fault is Fault.USER
    assert not caught.value.retryable


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
        ({"path": "r"}, "implies no known format"),
        ({"path": "r.csv.gz"}, "not supported"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_starts(arguments, message) -> None:
    with pytest.raises(ConfigError, match=message):
        FileSink(**arguments)
