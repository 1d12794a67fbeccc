"""One attempt of a file sink, driven by hand."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest

from connectors import FileSink
from pipeline.testing.drivers import VerificationSinkContext
from pipeline.testing.source_driver import loaded, stored


class SinkAttempt:
    """Opens a copy of the sink and goes through the calls of the engine, one method a step."""

    def __init__(
        self, sink: FileSink, attempt: int = 1, restore: Any = None, decided: Sequence[Any] = ()
    ) -> None:
        self.ctx = VerificationSinkContext(attempt=attempt)
        self.sink = copy.copy(sink)
        self.sink.open(self.ctx)
        self.recovered = [self.sink.recover_and_commit(handle) for handle in decided]
        if restore is not None:
            self.sink.restore_state(loaded(restore))
        self.sink.recover_and_abort([])
        self.txn = self.sink.begin_transaction()

    def write(self, *values: Any) -> None:
        self.sink.invoke_batch(self.txn, values, self.ctx)

    def barrier(self) -> tuple[Any, Any]:
        """Return what the manifest would hold: the stored state and the handle or None."""
        self.sink.flush()
        handle = self.sink.pre_commit(self.txn)
        self.txn = self.sink.begin_transaction()
        return stored(self.sink.snapshot_state()), handle

    def complete(self, *values: Any) -> None:
        """Write, finish, take the last checkpoint, commit, close."""
        self.write(*values)
        self.sink.finish()
        _, handle = self.barrier()
        if handle is not None:
            self.sink.commit(handle)
        self.sink.close()


@pytest.fixture
def out(tmp_path):
    """A folder to write to; afterwards nobody has a file of it open."""
    return tmp_path / "out"


@pytest.fixture
def start():
    """Starts attempts and closes what a test left open."""
    attempts: list[SinkAttempt] = []

    def start(
        sink: FileSink, attempt: int = 1, restore: Any = None, decided: Sequence[Any] = ()
    ) -> SinkAttempt:
        attempts.append(SinkAttempt(sink, attempt, restore, decided))
        return attempts[-1]

    yield start
    for one in attempts:
        one.sink.close()


@pytest.fixture
def names(out):
    """Lists the names in the output folder: visible ones, and `staged` for each that is staged."""

    def names() -> Sequence[str]:
        found = [path.name for path in out.iterdir() if path.suffix != ".lock"]
        return sorted("staged" if name.startswith(".") else name for name in found)

    return names
