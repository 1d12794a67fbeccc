"""Reads a file line by line, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.files.line_reader import LineReader


class TextReader(LineReader):
    r"""Returns each line without its line end, `\n` or `\r\n`; an empty line is an empty text.

    Args:
        path: the file.
        encoding: any in which a line end is the byte 10.
    """

    def _decode_all(self, data: bytes, lines: int) -> Sequence[Any] | None:
        try:
            text = data.decode(self._encoding)
        except UnicodeDecodeError:
            return None
        values = text.split("\n")  # not splitlines, to which a form feed is a line end as well
        if text.endswith("\n"):
            values.pop()
        return [value.removesuffix("\r") for value in values] if "\r" in text else values

    def _decode(self, line: bytes) -> Any:
        return line.decode(self._encoding).removesuffix("\n").removesuffix("\r")

    def _hint(self, error: ValueError) -> str:
        return "say encoding= for a file in another one, such as latin-1, or choose another on_error"
