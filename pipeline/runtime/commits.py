"""Commit an epoch at all sinks of a job, and try again what met a passing fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pipeline.core.clock import Clock
from pipeline.core.durations import whole_ms
from pipeline.core.errors import SinkError
from pipeline.core.faults import faultpoint
from pipeline.runtime.sink_tail import SinkTail

COMMIT_TRIES: Final = 5
COMMIT_PAUSE_MS: Final = 200
"""How often a commit that met a passing fault is tried at least, and the first pause, which doubles."""

_LONGEST_PAUSE_MS: Final = 1600


class SinkCommits:
    """Makes a decided epoch visible, sink by sink.

    Args:
        sinks: in the order in which they commit.
        pause: waits for a number of milliseconds, or raises if the job is aborted.
        clock: by which a sink's `commit_timeout` counts.
    """

    def __init__(self, sinks: Sequence[SinkTail], pause: Callable[[int], None], clock: Clock) -> None:
        self._sinks = sinks
        self._pause = pause
        self._clock = clock

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
        until = self._clock.monotonic_ms() + whole_ms(sink.commit_timeout)
        pause = COMMIT_PAUSE_MS
        tries = 1
        while not sink.commit(checkpoint_id):
            if tries >= COMMIT_TRIES and self._clock.monotonic_ms() >= until:
                raise self._not_committed(checkpoint_id, tries, sink.uid)
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_MS)
            tries += 1

    @staticmethod
    def _not_committed(checkpoint_id: int, tries: int, uid: str) -> SinkError:
        error = SinkError(
            f"checkpoint {checkpoint_id} is complete but could not be committed in {tries} tries",
            hint="it is committed when the job starts again",
        )
        return error.located(operator=uid)
