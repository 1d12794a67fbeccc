"""Reads csv records as dicts and knows the byte at which each of them starts."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from io import BytesIO, StringIO
from itertools import chain, islice
from typing import Final, NoReturn

from connectors.files.errors import lasting_error
from connectors.files.lines import MAX_LINE_BYTES, LineBlocks
from connectors.files.reader import FilePosition, RecordReader
from pipeline.core.errors import Fault, SourceError

_HINTS: Final = {
    "unexpected end of data": "a quote is opened and never closed",
    "field larger than field limit": "perhaps a quote is opened and not closed; such a field is not read",
    "new-line character seen": "a line ends in \\r alone, or a field without quotes has one: mend the file",
    "expected after": 'inside of quotes, a quote is written twice: "say ""hello"""',
}
_HINT: Final = "mend the line, or say delimiter= and fields= as they are in the file"
"""By how a message of the csv module begins or goes on, what to do about it; and about all others."""


class CsvReader(RecordReader):
    """Reads a csv file whose first record names the fields, unless `fields` does.

    `csv.reader` pulls as many lines as a record needs, quoted line ends included, and counts them;
    with the length of each line that count gives the offset of the record that follows. So the
    parsing stays in C and a position costs something per batch only. Empty lines are skipped.

    Args:
        path: the file.
        at: where to start.
        fields: names of the fields; None reads them from the file.
        delimiter: what separates fields.
        encoding: any in which a line end is the byte 10.

    Raises:
        SourceError: the file cannot have stood at `at`, or its first line names a field twice.
    """

    def __init__(
        self, path: str, at: FilePosition, fields: Sequence[str] | None, delimiter: str, encoding: str
    ) -> None:
        self._path = path
        self._delimiter = delimiter
        self._encoding = encoding
        # A setting of the whole process, so it is only ever raised: a sink writes fields of any length.
        csv.field_size_limit(max(MAX_LINE_BYTES, csv.field_size_limit()))
        self._open(at)
        try:
            self._fields = self._read_fields(at) if fields is None else list(fields)
        except BaseException:
            self.close()
            raise

    def read(self, limit: int) -> list[dict[str, str]] | None:
        fields = self._fields
        width = len(fields)
        records: list[dict[str, str]] = []
        append = records.append
        row: list[str] | None = None
        try:
            for row in islice(self._rows, limit):
                if len(row) == width:
                    append(dict(zip(fields, row)))  # noqa: B905 -- equally long
                elif row:
                    self._fail(f"expected {width} fields, found {len(row)}")
        except csv.Error as error:
            self._fail(str(error), error, self._unreadable_line())
        if row is None:
            return None
        self._advance(len(records))
        return records

    def close(self) -> None:
        self._blocks.close()

    def _open(self, at: FilePosition) -> None:
        self._blocks = LineBlocks(self._path, at.offset)
        self._first_line = at.line
        self._lengths: list[int] = []  # of the lines handed to the parser from self.position on
        self._rows = csv.reader(chain.from_iterable(self._decoded()), delimiter=self._delimiter, strict=True)
        self.position = FilePosition(self._blocks.start, at.line, at.record)

    def _decoded(self) -> Iterator[StringIO]:
        while block := self._blocks.read():
            lengths = list(map(len, BytesIO(block)))
            try:
                text = block.decode(self._encoding)
            except UnicodeDecodeError as error:
                line = self._first_line + self._rows.line_num + block.count(b"\n", 0, error.start) + 1
                reason = f"not {self._encoding}: {error.reason} (byte {block[error.start]:#x})"
                hint = "say encoding= for a file in another one, such as latin-1"
                raise lasting_error(
                    SourceError, Fault.USER, f"{self._path}:{line}: {reason}", hint
                ) from error
            self._lengths += lengths
            yield StringIO(text, newline="\n")

    def _advance(self, records: int) -> None:
        """Move the position behind what the parser has taken."""
        taken = self._first_line + self._rows.line_num - self.position.line
        size = sum(islice(self._lengths, taken))
        del self._lengths[:taken]
        offset, line, record = self.position
        self.position = FilePosition(offset + size, line + taken, record + records)

    def _read_fields(self, at: FilePosition) -> list[str]:
        """Read the names, from the beginning of the file, and go to where reading starts."""
        if at.offset:
            self.close()
            self._open(FilePosition())
        try:
            fields = next((row for row in self._rows if row), list[str]())
        except csv.Error as error:
            self._fail(str(error), error)
        self._advance(0)
        repeated = {name for name in fields if fields.count(name) > 1}
        if repeated:
            raise lasting_error(
                SourceError,
                Fault.USER,
                f"{self._path}:1: the header names {', '.join(sorted(repeated))} more than once",
                "give the names with fields= for a file without a header, or mend the file",
            )
        if at.offset:
            self.close()
            self._open(at)
        return fields

    def _unreadable_line(self) -> int:
        """Return the line in which the record begins that the parser has failed at; it may end far behind."""
        again = CsvReader(self._path, self.position, self._fields, self._delimiter, self._encoding)
        read = 0
        with closing(again), suppress(csv.Error):
            for _ in again._rows:
                read = again._rows.line_num
        return self.position.line + read + 1

    def _fail(self, reason: str, error: Exception | None = None, line: int | None = None) -> NoReturn:
        line = line or self._first_line + self._rows.line_num
        reason = reason.partition(" - do you need to open")[0]  # whoever reads it cannot
        hint = next((hint for words, hint in _HINTS.items() if words in reason), _HINT)
        raise lasting_error(SourceError, Fault.USER, f"{self._path}:{line}: {reason}", hint) from error
