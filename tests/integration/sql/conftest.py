"""Drives a source without an engine: opens, restores, reads some rows, snapshots, closes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from threading import RLock
from typing import Any

import pytest

from connectors.sql import SqlQuerySource
from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import SourceError
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Origin
from state.encoding import from_json, to_json


class Reading:
    """A run of a source that ends after `limit` rows, at the end of the input or with an error.

    Args:
        limit: rows to ask for in all; None for everything.
        batch: the most rows to ask for at once.
        on_emit: called after each batch, in the source's thread.
    """

    job_name = "test"
    uid = "sql:test"

    def __init__(
        self, limit: int | None = None, batch: int = 1000, on_emit: Callable[[Reading], None] | None = None
    ) -> None:
        self.values: list[Any] = []
        self.origins: list[Origin] = []
        self.cancelled = False
        self.state: Any = None
        self.estimate: int | None = None
        self.batch_limit = batch
        self.clock: Clock = SystemClock()
        self._limit = limit
        self._on_emit = on_emit
        self._lock = RLock()

    @property
    def checkpoint_lock(self) -> AbstractContextManager[Any]:
        return self._lock

    def wait(self, timeout: timedelta) -> bool:
        raise AssertionError("a query waits for its server only")

    def wait_demand(self) -> int:
        if self.cancelled:
            return 0
        return self.batch_limit if self._limit is None else self._limit - len(self.values)

    def emit(
        self,
        values: Sequence[Any],
        timestamps: Sequence[int] | None = None,
        origins: Sequence[Origin] | None = None,
        *,
        split: str = "",
    ) -> None:
        self.values.extend(values)
        self.origins.extend(origins or ())
        if self._on_emit is not None:
            self._on_emit(self)

    def reject(self, value: object, error: SourceError, origin: Origin, policy: ErrorPolicy) -> None:
        raise error

    def declare_splits(self, splits: Sequence[str]) -> None:
        raise AssertionError("a query has one split")

    end_splits = declare_splits

    def silent_splits(self) -> Sequence[str]:
        return ()

    def settle_silence(self, split: str, *, pending: bool) -> None:
        raise AssertionError("a query does not say whether it is silent")

    def run(self, source: SqlQuerySource[Any], state: Any = None) -> Reading:
        """Run a copy of `source`, as the engine does; `state` is the position as a checkpoint stores it."""
        attempt = copy.copy(source)
        try:
            attempt.open(self)
            self.estimate = attempt.estimated_records()
            if state is not None:
                attempt.restore_state(from_json(json.loads(state)))
            attempt.run(self)
        finally:
            position = attempt.snapshot_state()
            self.state = None if position is None else json.dumps(to_json(position))
            attempt.close()
        return self


@pytest.fixture
def reading() -> type[Reading]:
    return Reading
