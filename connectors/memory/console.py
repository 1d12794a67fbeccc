"""A sink that prints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TextIO, TypeVar

from pipeline.core.errors import SinkError, UserFunctionError
from pipeline.core.functions import function_ref
from pipeline.spi.connector_config import ConnectorConfig
from pipeline.spi.sink import Sink, SinkContext, SinkInfo

T = TypeVar("T")


class ConsoleSink(Sink[T]):
    """Prints one line for each record; after a restart, those after the checkpoint once more.

    Args:
        format: makes the line of a record.
        stream: where to print; default the standard output at the time the job starts.

    Raises:
        UserFunctionError: `format` raised.
        SinkError: the stream cannot be written, for instance because its reader has gone.
    """

    def __init__(self, format: Callable[[T], str] = str, stream: TextIO | None = None) -> None:  # noqa: A002
        self._format = format
        self._stream = stream

    @property
    def info(self) -> SinkInfo:
        return SinkInfo("console", "stdout" if self._stream is None else "stream", "at-least-once")

    def to_config(self) -> ConnectorConfig:
        return ConnectorConfig.of("console", {"format": self._format, "stream": self._stream})

    def open(self, ctx: SinkContext) -> None:
        self._out = self._stream or sys.stdout

    def invoke_batch(self, values: Sequence[T], ctx: SinkContext) -> None:
        lines: list[str] = []
        try:
            lines.extend(map(self._format, values))
        except Exception as error:
            raise UserFunctionError(
                f"the format of a ConsoleSink raised {type(error).__name__}: {error}"
            ).located(function=str(function_ref(self._format))) from error
        if lines:
            self._write("\n".join(lines) + "\n")

    def flush(self) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError) as error:  # ValueError: the stream is closed
            raise SinkError(f"cannot print: {error}", retryable=False) from error
