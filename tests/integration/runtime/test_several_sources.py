"""Jobs of several sources: what each of them says of itself is put together."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import CollectSink
from pipeline import JobConfig, StreamJob
from pipeline.runtime.events import CheckpointCompleted

pytestmark = pytest.mark.usefixtures("nothing_left")

ROWS = 100
PATIENCE_S = 20


class Completed:
    """Counts the checkpoints of a job, and lets sources wait for one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def listen(self, event: object) -> None:
        if isinstance(event, CheckpointCompleted):
            with self._changed:
                self._count += 1
                self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            came = self._changed.wait_for(lambda: self._count >= count, PATIENCE_S)
        assert came, f"checkpoint {count} did not come: {self._count} are complete"


def test_the_records_of_all_sources_count_for_the_next_checkpoint(numbers: Any, checkpoints: Path) -> None:
    """Four lots of records, alternately from two sources: each lot triggers a checkpoint."""
    completed = Completed()

    class Alternating(numbers):  # type: ignore[misc]
        """Reads lot n after n checkpoints.

        Args:
            first: the number of its first lot.
        """

        def __init__(self, first: int) -> None:
            super().__init__(2 * ROWS)
            self._first = first

        def poll(self, demand: int) -> Any:
            lot, within = divmod(self._next, ROWS)
            if lot < 2:
                completed.wait_for(2 * lot + self._first)
            return super().poll(min(demand, ROWS - within))

    config = JobConfig(checkpoint_rows=ROWS, checkpoint_min_pause=timedelta(0), checkpoint_dir=checkpoints)
    job = StreamJob("two", config)
    first, second = (job.source(Alternating(lot), uid=f"from-{lot}") for lot in (0, 1))
    sink = CollectSink[int]()
    first.union(second).sink(sink)
    job.execute(listeners=[completed.listen])
    assert sorted(sink.values) == sorted([*range(2 * ROWS)] * 2)
    completed.wait_for(4)
