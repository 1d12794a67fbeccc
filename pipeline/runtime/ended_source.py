"""Replaces a source that a checkpoint has read to its end."""

from __future__ import annotations

from typing import Any

from pipeline.spi.source import JsonLike, Source, SourceContext, SourceInfo


class EndedSource(Source[Any]):
    """Reads nothing, so that what was read need not be there any more, and keeps the position.

    Args:
        info: of the source in whose place it is.
    """

    def __init__(self, info: SourceInfo) -> None:
        self._info = info
        self._position: JsonLike = None

    @property
    def info(self) -> SourceInfo:
        return self._info

    def run(self, ctx: SourceContext[Any]) -> None:
        """End at once."""

    def snapshot_state(self) -> JsonLike:
        return self._position

    def restore_state(self, state: JsonLike) -> None:
        self._position = state
