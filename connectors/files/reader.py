"""The contract of a reader of records: one file, one position, a batch at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple


class FilePosition(NamedTuple):
    """Where the next unread record of a file starts.

    Args:
        offset: in bytes.
        line: lines before it, for messages.
        record: records before it.
    """

    offset: int = 0
    line: int = 0
    record: int = 0


class RecordReader(ABC):
    """Reads the records of one file.

    Attributes:
        position: of the next record that `read` returns.
    """

    position: FilePosition

    @abstractmethod
    def read(self, limit: int) -> list[Any] | None:
        """Return up to `limit` records, maybe none, or None at the end of the file.

        Raises:
            SourceError: a line cannot be read; the message names file and line.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the file."""
