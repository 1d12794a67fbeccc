"""Reads csv records as dicts and knows the byte at which each of them starts."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import BytesIO, StringIO
from itertools import chain, islice
from typing import Any, Final

from connectors.files.csv_form import CsvForm
from connectors.files.csv_one_by_one import OneByOne
from connectors.files.lines import MAX_LINE_BYTES
from connectors.files.reader import FilePosition, RecordReader, Taken

_CHUNK: Final = 32
"""Records between two looks at how many lines they took."""


class CsvReader(RecordReader):
    """Reads a csv file whose first record names the fields, unless the form does.

    `csv.reader` pulls as many lines as a record needs, quoted line ends included, and counts them;
    with the length of each line that count tells the offset of the record that follows. So the
    parsing stays in C and a position costs something per batch only. Empty lines are skipped.

    A batch that cannot be parsed in one go is read again, record by record.

    Args:
        path: the file.
        form: how its records are written.
    """

    def __init__(self, path: str, form: CsvForm) -> None:
        super().__init__(path)
        self._form = form
        self._fields: Sequence[str] = form.fields or ()
        # A setting of the whole process, so it is only ever raised: a sink writes fields of any length.
        csv.field_size_limit(max(MAX_LINE_BYTES, csv.field_size_limit()))

    @property
    def fields(self) -> Sequence[str]:
        return self._fields

    def seek(self, at: FilePosition) -> None:
        self._go_to(FilePosition())
        if self._form.fields is None:
            self._fields = self._read_fields()
        if at.line:
            self._go_to(at)

    def read(self, limit: int) -> Taken | None:
        offset, line, record = self.position
        records = self._parse(limit)
        if records is None:
            return self._read_one_by_one(limit)
        taken = self._first_line + self._rows.line_num - line
        if not taken:
            return None
        size = sum(islice(self._lengths, taken))
        del self._lengths[:taken]
        self.position = FilePosition(offset + size, line + taken, record + len(records))
        return Taken(records, range(record + 1, record + 1 + len(records)))

    def _go_to(self, at: FilePosition) -> None:
        self.position = at._replace(offset=self._blocks.seek(at.offset))
        self._first_line = at.line
        self._lengths: list[int] = []  # of the lines handed to the parser from self.position on
        self._rows = self._form.parser(chain.from_iterable(self._decoded()))

    def _decoded(self) -> Iterator[StringIO]:
        while block := self._blocks.read():
            self._lengths += map(len, BytesIO(block))
            yield StringIO(block.decode(self._form.encoding), newline="\n")

    def _parse(self, limit: int) -> list[dict[str, Any]] | None:
        """Parse up to `limit` records; None if one of them is bad, or takes too many lines."""
        fields, null, rows = self._fields, self._form.null, self._rows
        widths = {0, len(fields)}  # an empty line has no fields
        records: list[dict[str, Any]] = []
        try:
            while len(records) < limit:
                before = rows.line_num
                chunk = list(islice(rows, min(_CHUNK, limit - len(records))))
                if not chunk:
                    break
                if rows.line_num - before - len(chunk) >= self._form.max_record_lines:
                    return None
                if not widths.issuperset(map(len, chunk)):
                    return None
                if null is not None:
                    chunk = [_without(null, row) if null in row else row for row in chunk]
                records += [dict(zip(fields, row)) for row in chunk if row]  # noqa: B905 -- equally long
        except (csv.Error, UnicodeDecodeError):
            return None
        return records

    def _read_one_by_one(self, limit: int) -> Taken:
        """Read again what could not be parsed, so that what is sound is told from what is not."""
        careful = OneByOne(self._path, self._blocks, self._form, self.position)
        taken = careful.read(limit, self._fields)
        self._go_to(careful.position)
        return taken

    def _read_fields(self) -> Sequence[str]:
        careful = OneByOne(self._path, self._blocks, self._form, self.position)
        fields = careful.read_header()
        self._go_to(careful.position)
        return fields


def _without(null: str, row: list[str]) -> list[Any]:
    return [None if text == null else text for text in row]
