"""How far a file was read, and which file that is, so that another under its name is not taken for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from xxhash import xxh3_64_hexdigest

from connectors.files.reader import FilePosition

SAMPLE_BYTES: Final = 4096
"""What is compared at the beginning of a file, and before the position: as much, however long it is."""


class FileMark(NamedTuple):
    """A position in a file, and what the file was like then.

    Args:
        at: where the next unread record starts.
        size: of the file, in bytes.
        inode: its number in its file system, which it keeps when it is renamed.
        modified: when it was last written to, nanoseconds.
        head: digest of its first bytes, as far as they were read.
        tail: digest of the bytes before the position.
    """

    at: FilePosition
    size: int
    inode: int
    modified: int
    head: str
    tail: str

    @classmethod
    def of(cls, descriptor: int, at: FilePosition) -> FileMark:
        """Return the mark of an open file that has been read up to `at`."""
        found = os.fstat(descriptor)
        head, tail = _samples(descriptor, at.offset)
        return cls(at, found.st_size, found.st_ino, found.st_mtime_ns, head, tail)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> FileMark:
        """Read what `to_state` returned."""
        at = FilePosition(state["offset"], state["line"], state["record"])
        return cls(at, state["size"], state["inode"], state["modified"], state["head"], state["tail"])

    def to_state(self) -> dict[str, Any]:
        """Return it as a checkpoint stores it."""
        return {**self.at._asdict(), **{name: getattr(self, name) for name in self._fields[1:]}}

    @property
    def complete(self) -> bool:
        """Whether the file had nothing more to read."""
        return self.at.offset >= self.size

    def difference(self, descriptor: int) -> str | None:
        """Say in what an open file differs from the one that was read; None if it begins like that one."""
        offset = self.at.offset
        size = os.fstat(descriptor).st_size
        if size < offset:
            return f"it has {size:,} bytes"
        head, tail = _samples(descriptor, offset)
        if head != self.head:
            return f"its first {min(offset, SAMPLE_BYTES):,} bytes are others"
        if tail != self.tail:
            return f"the {min(offset, SAMPLE_BYTES):,} bytes before byte {offset:,} are others"
        return None

    def is_exceeded(self, descriptor: int) -> bool:
        """Whether an open file has bytes after the position."""
        return os.fstat(descriptor).st_size > self.at.offset

    def is_renamed(self, descriptor: int) -> bool:
        """Whether an open file is the one that was read, whatever its name is now.

        The inode alone does not tell, since the number of a removed file is used again.
        """
        found = os.fstat(descriptor)
        if found.st_ino != self.inode or self.difference(descriptor) is not None:
            return False
        return found.st_size > self.size or found.st_mtime_ns == self.modified


def _samples(descriptor: int, offset: int) -> tuple[str, str]:
    size = min(offset, SAMPLE_BYTES)
    return _digest(descriptor, 0, size), _digest(descriptor, offset - size, size)


def _digest(descriptor: int, start: int, size: int) -> str:
    return xxh3_64_hexdigest(os.pread(descriptor, size, start))
