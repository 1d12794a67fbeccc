"""Standard streams that may be lost, by a full device or a closed terminal: no job depends on them."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any, Final, TextIO, cast

_STDOUT: Final = 1


class ForgivingStream:
    """Writes to a stream as long as that can be written to; what cannot be is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


@contextmanager
def forgiving_stderr() -> Generator[None]:
    """Let nothing fail because stderr cannot be written to: neither a job nor its exit code."""
    kept = sys.stderr
    sys.stderr = cast("TextIO", ForgivingStream(kept))
    try:
        yield
    finally:
        sys.stderr = kept
        try:
            kept.flush()
        except OSError:
            sys.stderr = cast("TextIO", ForgivingStream(kept))  # or the interpreter fails at its end


def print_last(text: str) -> None:
    """Print the last line on stdout; if it cannot be written, say so, and keep the exit code."""
    try:
        print(text, flush=True)
    except OSError as error:
        print(f"warning: the result could not be written to stdout: {error}", file=sys.stderr)
        with suppress(OSError, ValueError):  # what is buffered must not fail once more at exit
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, _STDOUT)
            os.close(null)
