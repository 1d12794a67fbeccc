"""Commit an epoch at all sinks of a job, and try again what met a passing fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pipeline.core.errors import SinkError
from pipeline.core.faults import faultpoint
from pipeline.runtime.sink_tail import SinkTail

COMMIT_TRIES: Final = 5
COMMIT_PAUSE_MS: Final = 200
"""How often a commit that met a passing fault is tried, and the first pause between, which doubles."""


class SinkCommits:
    """Makes a decided epoch visible, sink by sink.

    Args:
        sinks: in the order in which they commit.
        pause: waits for so many milliseconds, or raises if the job is to leave at once.
    """

    def __init__(self, sinks: Sequence[SinkTail], pause: Callable[[int], None]) -> None:
        self._sinks = sinks
        self._pause = pause

    def commit(self, checkpoint_id: int) -> None:
        """Commit everything up to a checkpoint; what fails at one sink does not keep the others from it.

        Raises:
            PipelineError: the first failure, after all sinks have had their turn.
        """
        first_error: Exception | None = None
        for index, sink in enumerate(self._sinks):
            if index:
                faultpoint("P11")
            try:
                self._commit_one(sink, checkpoint_id)
            except Exception as error:  # noqa: BLE001 - it is raised below, once the others are committed
                first_error = first_error or error
        if first_error is not None:
            raise first_error

    def _commit_one(self, sink: SinkTail, checkpoint_id: int) -> None:
        for tried in range(COMMIT_TRIES):
            if tried:
                self._pause(COMMIT_PAUSE_MS * 2 ** (tried - 1))
            if sink.commit(checkpoint_id):
                return
        raise SinkError(
            f"checkpoint {checkpoint_id} is complete but could not be committed in {COMMIT_TRIES} tries",
            hint="it is committed when the job starts again",
        ).located(operator=sink.uid)
