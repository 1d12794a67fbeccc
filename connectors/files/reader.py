"""The contract of a reader of records: one file, one position, a batch at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from connectors.files.lines import LineBlocks
from pipeline.core.errors import SourceError


class FilePosition(NamedTuple):
    """Where the next unread record of a file starts.

    Args:
        offset: in bytes.
        line: lines before it, for messages.
        record: records before it, bad ones included.
    """

    offset: int = 0
    line: int = 0
    record: int = 0


class BadRecord(NamedTuple):
    """What cannot be read as a record.

    Args:
        text: its line, or lines, without the last line end; bytes where they cannot be decoded.
        error: names file and line.
        number: among the records of the file, counted from 1.
    """

    text: str | bytes
    error: SourceError
    number: int


@dataclass(slots=True)  # one for each batch
class Taken:
    """What one read has taken from a file.

    Args:
        values: the records.
        numbers: the number of each in the file, counted from 1.
        bad: what could not be read among them.
    """

    values: Sequence[Any]
    numbers: Sequence[int]
    bad: Sequence[BadRecord] = ()


class RecordReader(ABC):
    """Reads the records of one open file.

    Args:
        path: the file.

    Attributes:
        position: of the next record that `read` returns.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._blocks = LineBlocks(path)
        self.position = FilePosition()

    @property
    def descriptor(self) -> int:
        """Of the open file, whatever has its name now."""
        return self._blocks.descriptor

    @property
    def unterminated(self) -> bool:
        """Whether the file has been read to its end, and its last line has no line end."""
        return self._blocks.unterminated

    @property
    def fields(self) -> Sequence[str] | None:
        """The names of the fields, where all records of the file have the same."""
        return None

    @abstractmethod
    def seek(self, at: FilePosition) -> None:
        """Go to a position; called before the first `read`.

        Raises:
            SourceError: the file cannot have stood there, or is of another kind.
        """

    @abstractmethod
    def read(self, limit: int) -> Taken | None:
        """Return up to `limit` records, bad ones included, maybe none; None at the end of the file."""

    def close(self) -> None:
        """Close the file."""
        self._blocks.close()


def as_text(data: bytes, encoding: str) -> str | bytes:
    """Return what a line holds, without its line end; as it is where it cannot be decoded."""
    line = data.removesuffix(b"\n").removesuffix(b"\r")
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return line
