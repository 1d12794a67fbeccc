"""Reads csv record by record, which is slow, and so tells sound ones from bad ones."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any, Final, NamedTuple

from connectors.files.csv_form import CsvForm
from connectors.files.errors import lasting_error
from connectors.files.lines import LineBlocks
from connectors.files.reader import BadRecord, FilePosition, Taken, as_text
from pipeline.core.errors import Fault, SourceError

_HINTS: Final = {
    "unexpected end of data": "a quote is opened and never closed",
    "does not end within": 'close the quote, say quoting="none" if quotes are part of the text, '
    "or raise max_record_lines",
    "field larger than field limit": "perhaps a quote is opened and not closed; such a field is not read",
    "new-line character seen": "a line ends in \\r alone, or a field without quotes has one: fix the file",
    "expected after": 'inside of quotes, a quote is written twice: "say ""hello"""; '
    'say quoting="none" if quotes are part of the text',
}
_HINT: Final = "fix the line, say delimiter= and fields= as they are in the file, or choose another on_error"
"""By a part of the reason, what to do about it; and about all others."""


class _TooManyLines(Exception):
    """A record has more lines than it may."""


class _Record(NamedTuple):
    """What was found from a line on.

    Args:
        lines: how many lines it takes.
        row: its fields, none for an empty line.
        error: why it is not a record; None if it is.
    """

    lines: int
    row: Sequence[str]
    error: SourceError | None = None


class OneByOne:
    """Reads on from a position, each record by itself.

    Reading resumes after a bad record with the line that follows its first one: a quote that is
    not closed must not take the sound records after it along. A record with another number of
    fields is bad as a whole.

    Args:
        path: the file, for messages.
        blocks: its lines; they are left where the last block ended.
        form: how its records are written.
        at: where to begin.

    Attributes:
        position: of the next record.
    """

    def __init__(self, path: str, blocks: LineBlocks, form: CsvForm, at: FilePosition) -> None:
        self._path = path
        self._blocks = blocks
        self._form = form
        self._lines: list[bytes] = []  # read, and not yet part of a record
        self._pulled = 0  # of them, by the parser
        self.position = at._replace(offset=blocks.seek(at.offset))

    def read_header(self) -> Sequence[str]:
        """Return the first row that is not empty, without counting it; nothing from an empty file.

        Raises:
            SourceError: it cannot be read, or has a name, or an empty one, twice.
        """
        while self._has(0):
            found = self._parse(None)
            if found.error is not None:
                raise found.error
            if wrong := _repeated(found.row):
                hint = "name the fields with fields= for a file without a header, or fix the file"
                raise self._error(0, wrong, hint)
            self._drop(found.lines)
            if found.row:
                return found.row
        return ()

    def read(self, limit: int, fields: Sequence[str]) -> Taken:
        """Return up to `limit` records, bad ones included."""
        records, numbers, bad = list[dict[str, Any]](), list[int](), list[BadRecord]()
        null = self._form.null
        while len(records) + len(bad) < limit and self._has(0):
            found = self._parse(len(fields))
            data = self._drop(found.lines)
            if found.error is None and not found.row:
                continue
            offset, line, number = self.position
            self.position = FilePosition(offset, line, number + 1)
            if found.error is not None:
                bad.append(BadRecord(as_text(data, self._form.encoding), found.error, number + 1))
                continue
            values = [None if null is not None and text == null else text for text in found.row]
            records.append(dict(zip(fields, values, strict=True)))
            numbers.append(number + 1)
        return Taken(records, numbers, bad)

    def _parse(self, width: int | None) -> _Record:
        self._pulled = 0
        parser = self._form.parser(self._decoded())
        try:
            row = next(parser)
        except csv.Error as error:
            reason = str(error).partition(" - do you need to open")[0]  # which mean nothing to a reader
            return _Record(1, (), self._error(0, reason, _hint(reason), error))
        except UnicodeDecodeError as error:
            wrong = error.object[error.start]
            reason = f"not {self._form.encoding}: {error.reason} (byte {wrong:#x})"
            hint = "say encoding= for a file in another one, such as latin-1"
            return _Record(1, (), self._error(self._pulled - 1, reason, hint, error))
        except _TooManyLines:
            reason = f"a quoted field does not end within {self._form.max_record_lines} lines"
            return _Record(1, (), self._error(0, reason, _hint(reason)))
        if row and width is not None and len(row) != width:
            reason = f"expected {width} fields, found {len(row)}"
            return _Record(parser.line_num, (), self._error(0, reason, _HINT))
        return _Record(parser.line_num, row)

    def _decoded(self) -> Iterator[str]:
        """Yield the lines from the next record on, as many as the parser pulls."""
        while self._has(self._pulled):
            if self._pulled == self._form.max_record_lines:
                raise _TooManyLines
            self._pulled += 1
            yield self._lines[self._pulled - 1].decode(self._form.encoding)

    def _has(self, index: int) -> bool:
        """Whether there is such a line."""
        while len(self._lines) <= index and (block := self._blocks.read()):
            self._lines += BytesIO(block)
        return len(self._lines) > index

    def _drop(self, lines: int) -> bytes:
        """Skip that many lines and return them."""
        data = b"".join(self._lines[:lines])
        del self._lines[:lines]
        offset, line, record = self.position
        self.position = FilePosition(offset + len(data), line + lines, record)
        return data

    def _error(self, line: int, reason: str, hint: str, cause: Exception | None = None) -> SourceError:
        where = f"{self._path}:{self.position.line + line + 1}"
        error = lasting_error(SourceError, Fault.USER, f"{where}: {reason}", hint)
        error.__cause__ = cause
        return error


def _repeated(names: Sequence[str]) -> str | None:
    """Say which names of a header are the same; None if each is another."""
    places: dict[str, list[int]] = {}
    for number, name in enumerate(names, 1):
        places.setdefault(name, []).append(number)
    found: list[str] = []
    for name, numbers in places.items():
        if len(numbers) > 1:
            listed = f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
            says = f"the field {name!r} more than once" if name else "empty names"
            found.append(f"{says} (fields {listed})")
    return f"the header has {', and '.join(found)}" if found else None


def _hint(reason: str) -> str:
    return next((hint for words, hint in _HINTS.items() if words in reason), _HINT)
