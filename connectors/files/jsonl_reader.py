"""Reads a file of one JSON value a line."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from itertools import islice
from typing import Any

import msgspec

from connectors.files.errors import lasting_error
from connectors.files.lines import LineBlocks
from connectors.files.reader import FilePosition, RecordReader
from pipeline.core.errors import Fault, SourceError


class JsonlReader(RecordReader):
    """Decodes many lines in one call; empty lines are skipped.

    Args:
        path: the file, in UTF-8.
        at: where to start.

    Raises:
        SourceError: the file cannot have stood at `at`.
    """

    def __init__(self, path: str, at: FilePosition) -> None:
        self._path = path
        self._decoder = msgspec.json.Decoder()
        self._blocks = LineBlocks(path, at.offset)
        self._lines: Iterator[bytes] = iter(())
        self.position = FilePosition(self._blocks.start, at.line, at.record)

    def read(self, limit: int) -> list[Any] | None:
        lines = list(islice(self._lines, limit))
        if not lines:
            self._lines = BytesIO(self._blocks.read())
            lines = list(islice(self._lines, limit))
            if not lines:
                return None
        data = b"".join(lines)
        try:
            values = self._decoder.decode_lines(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            values = self._decode_one_by_one(lines)
        if len(values) != len(lines):  # an empty line, or not one value a line
            values = self._decode_one_by_one(lines)
        offset, line, record = self.position
        self.position = FilePosition(offset + len(data), line + len(lines), record + len(values))
        return values

    def close(self) -> None:
        self._blocks.close()

    def _decode_one_by_one(self, lines: list[bytes]) -> list[Any]:
        values: list[Any] = []
        for number, line in enumerate(lines, self.position.line + 1):
            try:
                if line.strip():
                    values.append(self._decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise lasting_error(
                    SourceError, Fault.USER, f"{self._path}:{number}: {error}", _hint(error)
                ) from error
        return values


def _hint(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "jsonl is UTF-8: convert the file first"
    if "out of range" in str(error):
        return "no float of Python's is so large: write such numbers as strings"
    return "mend the line: each holds one JSON value"
