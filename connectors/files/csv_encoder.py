"""Writes records as csv: dicts, tuples, lists, dataclasses, in one fixed order of fields."""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any, Final, NoReturn, TypeAlias, cast

from connectors.files.csv_values import CsvValues
from connectors.files.encoder import RecordEncoder, unwritable
from connectors.files.formats import FileFormat, Quoting
from pipeline.core.errors import SinkError

Rows: TypeAlias = Iterable[Sequence[Any]]
_ToRows: TypeAlias = Callable[[Sequence[Any]], Rows]


_NEEDS_QUOTES: Final = "a field has a delimiter or a line end in it, or is the only one and empty"
_HINTS: Final = {_NEEDS_QUOTES: 'say quoting="minimal", or take such characters out first'}


class CsvEncoder(RecordEncoder):
    """Encodes a batch by its columns: texts are made of each, and joined if none needs quotes.

    The fields are those given, else those of the first record; every later record must have
    exactly these. `CsvValues` says which text a value is. `csv.writer`, which looks at each
    character, writes only batches in which quotes may be needed.

    Args:
        fields: names and order of the fields; None takes those of the first record.
        delimiter: what separates fields.
        header: whether a file begins with the names.
        quoting: whether quotes enclose fields that need them.
        null: the text of None; None for an empty field.
        expected: the names that records will have, for a file without any, and for records
            without names; None where that is not known.
    """

    format = FileFormat.CSV

    def __init__(
        self,
        fields: Sequence[str] | None,
        delimiter: str,
        *,
        header: bool,
        quoting: Quoting = Quoting.MINIMAL,
        null: str | None = None,
        expected: Sequence[str] | None = None,
    ) -> None:
        self.fields = None if fields is None else tuple(fields)
        self._given = self.fields
        self._delimiter = delimiter
        self._header = header
        self._quoting = quoting
        self._values = CsvValues(null)
        self._expected = expected
        self._to_rows: dict[type, _ToRows] = {}

    def encode(self, values: Sequence[Any]) -> bytes:
        try:
            return self._text(values).encode()
        except SinkError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a record's own code raises
            self._name_culprit(values, error)

    def header(self) -> bytes:
        names = self.fields or self._expected
        return self._written([names], "\n").encode() if self._header and names else b""

    def restore(self, fields: Sequence[Any] | None) -> None:
        if fields is None:
            return
        if self._given is not None and self._given != tuple(fields):
            raise SinkError(
                f"the file has the fields {_names(fields)}, the sink now has {_names(self._given)}",
                retryable=False,
                hint="give the sink the same fields as before, or start the job over with --fresh",
            )
        self.fields = tuple(fields)

    def _text(self, values: Sequence[Any]) -> str:
        rows = self._rows(values)
        assert self.fields is not None  # the first row has told
        columns = self._values.columns(rows, self.fields)
        rows = list(zip(*columns, strict=True))
        text = "\n".join([*map(self._delimiter.join, rows), ""])
        if not self._may_need_quotes(text, columns):
            return text
        text = self._written(rows, "\n")
        if "\r" not in text:
            return text
        if self._quoting is Quoting.NONE:
            raise ValueError(_NEEDS_QUOTES)
        # csv.writer quotes only the line-end characters that it writes itself: a bare \r in a field
        # would end the record for a reader. So write \r\n, one record at a time, and cut the \r.
        return "".join(self._written([row], "\r\n")[:-2] + "\n" for row in rows)

    def _may_need_quotes(self, text: str, columns: Sequence[Sequence[str]]) -> bool:
        """Whether some field of joined lines has a character that must be quoted."""
        lines, width = len(columns[0]), len(columns)
        return (
            '"' in text
            or "\r" in text
            or text.count("\n") != lines
            or text.count(self._delimiter) != lines * (width - 1)
            or (width == 1 and "" in columns[0])  # an empty line would be no record
        )

    def _written(self, rows: Rows, line_end: str) -> str:
        out = StringIO()
        if self._quoting is Quoting.NONE:
            writer = csv.writer(
                out,
                delimiter=self._delimiter,
                lineterminator=line_end,
                quoting=csv.QUOTE_NONE,
                quotechar=None,
            )
        else:
            writer = csv.writer(out, delimiter=self._delimiter, lineterminator=line_end)
        writer.writerows(rows)
        return out.getvalue()

    def _rows(self, values: Sequence[Any]) -> Rows:
        if len(set(map(type, values))) == 1:
            return self._rows_of_one_type(values)
        return list(chain.from_iterable(self._rows_of_one_type([value]) for value in values))

    def _rows_of_one_type(self, values: Sequence[Any]) -> Rows:
        kind = cast("type[Any]", type(values[0]))
        to_rows = self._to_rows.get(kind)
        if to_rows is None:
            to_rows = self._to_rows[kind] = self._learn(kind, values[0])
        return to_rows(values)

    def _learn(self, kind: type[Any], first: Any) -> _ToRows:
        """Decide once for a type of record how its rows are taken out of it."""
        names = _attribute_names(kind)
        strict = _looks_up_strictly(kind)
        if issubclass(kind, Mapping):
            return self._learn_mapping(first, looks_up_strictly=strict)
        if names is not None:
            return self._learn_attributes(names, first)
        if issubclass(kind, Sequence) and not issubclass(kind, str | bytes | bytearray | memoryview):
            return self._learn_sequence(first)
        raise unwritable(
            f"a csv row cannot be made of type {kind.__name__}",
            first,
            "map it to a dict, a tuple or a dataclass first",
        )

    def _learn_mapping(self, first: Mapping[Any, Any], *, looks_up_strictly: bool) -> _ToRows:
        fields = self._fix_fields(tuple(first), first)
        width = {len(fields)}
        row = _getter(itemgetter, fields)

        def to_rows(values: Sequence[Any]) -> Rows:
            if not looks_up_strictly or set(map(len, values)) != width:
                self._refuse_other_fields(values)
            return map(row, values)  # a KeyError, for as many fields but others, is explained by encode

        return to_rows

    def _learn_attributes(self, names: tuple[str, ...], first: Any) -> _ToRows:
        fields = self._fix_fields(names, first)
        if set(names) != set(fields):
            raise self._other_fields(names, first)
        row = _getter(attrgetter, fields)
        return lambda values: map(row, values)

    def _learn_sequence(self, first: Sequence[Any]) -> _ToRows:
        if self.fields is None:
            if self._expected is not None and len(self._expected) == len(first):
                self._fix_fields(tuple(self._expected), first)
            elif self._header:
                raise unwritable(
                    "it has no names for the header", first, "give FileSink fields=[…], or header=False"
                )
            else:
                self._fix_fields(tuple(map(str, range(1, len(first) + 1))), first)
        assert self.fields is not None
        width = {len(self.fields)}

        def to_rows(values: Sequence[Any]) -> Rows:
            if set(map(len, values)) == width:
                return values
            odd = next(value for value in values if len(value) not in width)
            expected = f"{len(self.fields or ())} values ({_names(self.fields or ())})"
            raise unwritable(f"expected {expected}, found {len(odd)}", odd)

        return to_rows

    def _fix_fields(self, names: tuple[Any, ...], first: Any) -> tuple[Any, ...]:
        if self.fields is None:
            if not names:
                raise unwritable("it has no fields", first)
            twice = [name for name, count in Counter(map(_header_text, names)).items() if count > 1]
            if self._header and twice:
                raise unwritable(f"two of its fields would be called {twice[0]!r} in the header", first)
            self.fields = names
        return self.fields

    def _refuse_other_fields(self, values: Iterable[Mapping[Any, Any]]) -> None:
        for value in values:
            if set(value) != set(self.fields or ()):
                raise self._other_fields(tuple(value), value)

    def _other_fields(self, names: tuple[Any, ...], value: Any) -> SinkError:
        fields = self.fields or ()
        missing = [name for name in fields if name not in names]
        unknown = [name for name in names if name not in fields]
        found = [
            f"{kind} {_names(those)}" for kind, those in (("lacks", missing), ("also has", unknown)) if those
        ]
        return unwritable(
            f"the fields are {_names(fields)}; it {' and '.join(found)}",
            value,
            "give every record the same fields",
        )

    def _name_culprit(self, values: Sequence[Any], error: Exception) -> NoReturn:
        if isinstance(error, KeyError):
            self._refuse_other_fields(filter(_is_mapping, values))
        for value in values:
            try:
                self._text([value]).encode()
            except Exception as own:
                reason = _NEEDS_QUOTES if isinstance(own, csv.Error) else str(own)
                raise unwritable(reason, value, _HINTS.get(reason)) from own
        raise error


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """How a csv file is to be written; see `CsvEncoder` for each."""

    fields: tuple[str, ...] | None
    delimiter: str
    header: bool
    quoting: Quoting
    null: str | None

    def encoder(self, expected: Sequence[str] | None) -> CsvEncoder:
        """Return the encoder of one file or of one subtask's parts."""
        return CsvEncoder(
            self.fields,
            self.delimiter,
            header=self.header,
            quoting=self.quoting,
            null=self.null,
            expected=expected,
        )

    def to_config(self) -> dict[str, Any]:
        """Return what the user said, by the names of the sink's arguments."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _looks_up_strictly(kind: type[Any]) -> bool:
    """Whether looking up what is not there surely fails; a Counter or a defaultdict makes it up instead."""
    dicts_own = cast("Any", dict).__getitem__
    return getattr(kind, "__getitem__", None) is dicts_own and not hasattr(kind, "__missing__")


def _attribute_names(kind: type[Any]) -> tuple[str, ...] | None:
    """Return the field names of a dataclass, NamedTuple or msgspec struct."""
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    return getattr(kind, "_fields", None) or getattr(cast("Any", kind), "__struct_fields__", None)


def _getter(
    make: Callable[..., Callable[[Any], Any]], names: tuple[Any, ...]
) -> Callable[[Any], Sequence[Any]]:
    get = make(*names)
    return get if len(names) > 1 else lambda value: (get(value),)


def _header_text(name: Any) -> str:
    return "" if name is None else str(name)


def _names(names: Iterable[Any]) -> str:
    return ", ".join(map(str, names))
