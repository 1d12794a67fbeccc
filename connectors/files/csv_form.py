"""How the records of a csv file are written: what separates and encloses fields, and what they are called."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

from connectors.files.formats import Quoting

MAX_RECORD_LINES: Final = 100
"""A record of more lines is taken for a quote that is not closed, unless the user allows for more."""


class CsvParser(Protocol):
    """What `csv.reader` returns."""

    @property
    def line_num(self) -> int:
        """Lines it has pulled."""
        ...

    def __iter__(self) -> CsvParser: ...

    def __next__(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class CsvForm:
    """The form of a csv file to read.

    Args:
        fields: names of the fields; None reads them from the file.
        delimiter: what separates fields.
        quoting: whether quotes enclose fields.
        encoding: any in which a line end is the byte 10.
        null: the text that stands for None; None for no such text.
        max_record_lines: the most lines that a record with quoted line ends may span.
    """

    fields: Sequence[str] | None
    delimiter: str
    quoting: Quoting
    encoding: str = "utf-8"
    null: str | None = None
    max_record_lines: int = MAX_RECORD_LINES

    def to_config(self) -> dict[str, Any]:
        """Return what the user said, by the names of the source's arguments."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def parser(self, lines: Iterable[str]) -> CsvParser:
        """Return a parser of this form; it pulls as many lines as it needs."""
        quoting = csv.QUOTE_NONE if self.quoting is Quoting.NONE else csv.QUOTE_MINIMAL
        return csv.reader(lines, delimiter=self.delimiter, strict=True, quoting=quoting)
