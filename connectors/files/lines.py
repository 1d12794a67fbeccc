"""Reads a file in blocks that end where a line ends, from any line on."""

from __future__ import annotations

import os
from typing import Final

from connectors.files.errors import lasting_error
from pipeline.core.errors import Fault, SourceError

BLOCK_BYTES: Final = 256 * 1024
"""Large enough that a system call costs nothing per record, small enough to stay in the cache."""

MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""A longer line is taken for a file of another kind, instead of filling the memory with it."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_GZIP_MAGIC: Final = b"\x1f\x8b"


class LineBlocks:
    """An open file that returns whole lines; `seek` says from where.

    Args:
        path: the file.

    Attributes:
        unterminated: whether the last line that was read has no line end, as only the last of a
            file can.

    Raises:
        SourceError: the file does not consist of lines.
        OSError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._rest = b""
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        self.unterminated = False

    @property
    def descriptor(self) -> int:
        """Of the open file, whatever has its name now."""
        return self._file.fileno()

    def seek(self, offset: int) -> int:
        """Go to a line and return the byte at which it begins.

        That is `offset`, but after a byte order mark at the beginning of the file, and after the
        line end that has been appended to what was the last line without one.

        Raises:
            SourceError: the file has no line that begins there, or is compressed.
        """
        start = self._after_mark() if offset == 0 else self._next_line(offset)
        self._file.seek(start)
        self._rest = b""
        self.unterminated = False
        return start

    def read(self) -> bytes:
        """Return the next block, empty at the end; only the file's last line may lack its line end."""
        parts = [self._rest]
        size = len(self._rest)
        while data := self._file.read(BLOCK_BYTES):
            end = data.rfind(b"\n") + 1
            if end:
                parts.append(data[:end])
                self._rest = data[end:]
                return b"".join(parts)
            parts.append(data)
            size += len(data)
            if size > MAX_LINE_BYTES:
                raise lasting_error(
                    SourceError,
                    Fault.USER,
                    f"{self._path} has a line of more than {MAX_LINE_BYTES >> 20} MiB",
                    "check that it is a text file with line ends of \\n or \\r\\n",
                )
        self._rest = b""
        last = b"".join(parts)
        self.unterminated = self.unterminated or bool(last)
        return last

    def close(self) -> None:
        self._file.close()

    def _after_mark(self) -> int:
        head = os.pread(self.descriptor, 3, 0)
        if head.startswith(_GZIP_MAGIC):
            raise lasting_error(
                SourceError,
                Fault.USER,
                f"{self._path} is compressed (gzip), which is not supported",
                "decompress it first",
            )
        return len(BYTE_ORDER_MARK) if head == BYTE_ORDER_MARK else 0

    def _next_line(self, offset: int) -> int:
        around = os.pread(self.descriptor, 3, offset - 1)
        before, after = around[:1], around[1:]
        if before == b"\n" or not after or offset == len(BYTE_ORDER_MARK):
            return offset
        # The last line had no line end when it was read. What has been appended since must begin with one.
        for line_end in (b"\n", b"\r\n"):
            if after.startswith(line_end):
                return offset + len(line_end)
        raise lasting_error(
            SourceError,
            Fault.USER,
            f"{self._path} was read up to byte {offset}, in the middle of a line: its last line had no line "
            "end then, and has been continued since",
            "start the job over with --fresh, on a file whose lines are complete",
        )
