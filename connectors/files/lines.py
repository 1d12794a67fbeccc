"""Reads a file in blocks that end where a line ends, from any byte on."""

from __future__ import annotations

import os
from typing import Final

from pipeline.core.errors import SourceError

BLOCK_BYTES: Final = 256 * 1024
"""Large enough that a system call costs nothing per record, small enough to stay in the cache."""

MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""A longer line is taken for a file of another kind, instead of filling the memory with it."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_GZIP_MAGIC: Final = b"\x1f\x8b"


class LineBlocks:
    """An open file that gives whole lines.

    Args:
        path: the file.
        offset: where to start; 0 skips a byte order mark.

    Attributes:
        start: the byte that the first block begins with.

    Raises:
        SourceError: the file cannot have stood at `offset`, or is none of lines.
        OSError: it cannot be opened.
    """

    def __init__(self, path: str, offset: int) -> None:
        self._path = path
        self._rest = b""
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by close()
        try:
            self.start = self._find_start(offset)
        except BaseException:
            self._file.close()
            raise

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
                raise SourceError(
                    f"{self._path} has a line of more than {MAX_LINE_BYTES >> 20} MiB",
                    retryable=False,
                    hint="check that it is a text file with line ends of \\n or \\r\\n",
                )
        self._rest = b""
        return b"".join(parts)

    def close(self) -> None:
        self._file.close()

    def _find_start(self, offset: int) -> int:
        fd = self._file.fileno()
        if offset == 0:
            head = os.pread(fd, 3, 0)
            if head.startswith(_GZIP_MAGIC):
                raise SourceError(
                    f"{self._path} is compressed (gzip), which is not supported",
                    retryable=False,
                    hint="decompress it first",
                )
            offset = len(BYTE_ORDER_MARK) if head == BYTE_ORDER_MARK else 0
        else:
            self._check_position(fd, offset)
        os.lseek(fd, offset, os.SEEK_SET)
        return offset

    def _check_position(self, fd: int, offset: int) -> None:
        """Refuse a file that is not the one whose position was taken."""
        size = os.fstat(fd).st_size
        if size < offset:
            found = f"has {size} bytes"
        elif offset not in (size, len(BYTE_ORDER_MARK)) and os.pread(fd, 1, offset - 1) != b"\n":
            found = "has no line that starts there"
        else:
            return
        raise SourceError(
            f"{self._path} was shrunk or replaced: the job stands at byte {offset}, the file {found}",
            retryable=False,
            hint="put the original file back, or start the job over with --fresh",
        )
