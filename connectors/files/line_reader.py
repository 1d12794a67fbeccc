"""Reads a file in which each line is a record."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import islice
from typing import Any

from connectors.files.errors import lasting_error
from connectors.files.reader import BadRecord, FilePosition, RecordReader, Taken, as_text
from pipeline.core.errors import Fault, SourceError


class LineReader(RecordReader):
    """Decodes the lines of a batch in one call, or one by one where one of them is bad."""

    def __init__(self, path: str, encoding: str) -> None:
        super().__init__(path)
        self._encoding = encoding
        self._lines: Iterator[bytes] = iter(())

    def seek(self, at: FilePosition) -> None:
        self._lines = iter(())
        self.position = at._replace(offset=self._blocks.seek(at.offset))

    def read(self, limit: int) -> Taken | None:
        lines = self._take(limit)
        if not lines:
            return None
        data = b"".join(lines)
        values = self._decode_all(data, len(lines))
        record = self.position.record
        if values is None:
            taken = self._decode_one_by_one(lines)
        else:
            taken = Taken(values, range(record + 1, record + 1 + len(values)))
        offset, line, _ = self.position
        self.position = FilePosition(
            offset + len(data), line + len(lines), record + len(taken.values) + len(taken.bad)
        )
        return taken

    @abstractmethod
    def _decode_all(self, data: bytes, lines: int) -> Sequence[Any] | None:
        """Return the records of that many lines, one each; None if that is not so, or one is bad."""

    @abstractmethod
    def _decode(self, line: bytes) -> Any:
        """Return what one line holds.

        Raises:
            ValueError: it cannot be decoded; the message says why.
        """

    @abstractmethod
    def _hint(self, error: ValueError) -> str:
        """Say what to do about a line that cannot be decoded."""

    def _is_record(self, line: bytes) -> bool:
        """Whether a line is a record at all."""
        return True

    def _take(self, limit: int) -> list[bytes]:
        lines = list(islice(self._lines, limit))
        if not lines:
            self._lines = BytesIO(self._blocks.read())
            lines = list(islice(self._lines, limit))
        return lines

    def _decode_one_by_one(self, lines: Sequence[bytes]) -> Taken:
        values: list[Any] = []
        numbers: list[int] = []
        bad: list[BadRecord] = []
        number = self.position.record
        for at, line in enumerate(lines, self.position.line + 1):
            if not self._is_record(line):
                continue
            number += 1
            try:
                values.append(self._decode(line))
                numbers.append(number)
            except ValueError as error:
                wrong = lasting_error(
                    SourceError, Fault.USER, f"{self._path}:{at}: {error}", self._hint(error)
                )
                wrong.__cause__ = error
                bad.append(BadRecord(as_text(line, self._encoding), wrong, number))
        return Taken(values, numbers, bad)
