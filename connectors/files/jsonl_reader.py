"""Reads a file of one JSON value a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from connectors.files.line_reader import LineReader


class JsonlReader(LineReader):
    """Decodes many lines in one call; empty lines are skipped.

    Args:
        path: the file, in UTF-8.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, "utf-8")
        self._decoder = msgspec.json.Decoder()

    def _decode_all(self, data: bytes, lines: int) -> Sequence[Any] | None:
        try:
            values = self._decoder.decode_lines(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return values if len(values) == lines else None  # an empty line, or not one value a line

    def _decode(self, line: bytes) -> Any:
        return self._decoder.decode(line)

    def _is_record(self, line: bytes) -> bool:
        return bool(line.strip())

    def _hint(self, error: ValueError) -> str:
        if isinstance(error, UnicodeDecodeError):
            return "jsonl is UTF-8: convert the file first"
        if "out of range" in str(error):
            return "no float of Python's is so large: write such numbers as strings"
        return "fix the line, or choose another on_error: skip, dead_letter"
