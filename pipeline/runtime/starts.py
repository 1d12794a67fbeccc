"""Where the sources of a run began: found once, kept for every attempt that has no checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.runtime.source_subtask import SourceSubtask


class Starts:
    """The positions that the sources of a run found at its beginning.

    A start such as the end of a topic is another place each time it is looked up. So the first answer
    is kept: here for the attempts of this run, and in a checkpoint for those of the next.
    """

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def settle(self, sources: Iterable[SourceSubtask]) -> bool:
        """Have each opened source that was not restored begin where it began before.

        Returns:
            Whether one of them has a position that no checkpoint holds.
        """
        kept = False
        for source in sources:
            if source.opened.restored:
                continue
            if source.uid in self._found:
                source.opened.restore(self._found[source.uid])
            elif (found := source.opened.find_start()) is not None:
                self._found[source.uid] = found
            kept = kept or source.uid in self._found
        return kept
