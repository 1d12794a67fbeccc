"""Sources and sinks that do what a test needs, and a look at what a job leaves behind."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.job import JobMode
from pipeline.spi.sink import Sink, SinkInfo
from pipeline.spi.source import Polled, PollingSource, SourceInfo
from tests.acceptance.jobs.gate import Gate


@pytest.fixture(autouse=True)
def folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where jobs keep their checkpoints unless told otherwise: a test must not continue another's."""
    monkeypatch.chdir(tmp_path)


class Numbers(PollingSource[int]):
    """0, 1, 2, … to `count`, durable so that jobs take checkpoints; calls `before` ahead of each poll."""

    def __init__(self, count: int, before: Callable[[int], None] | None = None, batch: int = 100) -> None:
        self._count = count
        self._before = before
        self._batch = batch

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("numbers", str(self._count), JobMode.BATCH_ROLLER)

    def seek(self, position: Any) -> None:
        self._next = position or 0

    def poll(self, demand: int) -> Polled[int] | None:
        if self._before is not None:
            self._before(self._next)
        if self._next >= self._count:
            return None
        values = range(self._next, min(self._count, self._next + min(demand, self._batch)))
        self._next = values.stop
        return Polled(values, values.stop)


class GatedNumbers(Gate, Numbers):
    """Waits for a checkpoint after every 150."""


class Calling(Sink[Any]):
    """Hands each batch to a function."""

    def __init__(self, take: Callable[[list[Any]], None]) -> None:
        self._take = take

    @property
    def info(self) -> SinkInfo:
        return SinkInfo("calling", "function", "none")

    def invoke_batch(self, values: Any, ctx: Any) -> None:
        self._take(list(values))


def open_files() -> set[str]:
    """The files and sockets this process holds open."""
    found: set[str] = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{entry.name} {entry.readlink()}")
        except OSError:
            continue  # the descriptor that listed the folder
    return {entry for entry in found if not entry.endswith("/fd")}


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fails if the test leaves a thread or an open file."""
    gc.collect()
    threads, files = set(threading.enumerate()), open_files()
    yield
    gc.collect()
    assert set(threading.enumerate()) - threads == set()
    assert open_files() - files == set()


@pytest.fixture
def numbers() -> type[Numbers]:
    return Numbers


@pytest.fixture
def gated_numbers() -> type[GatedNumbers]:
    return GatedNumbers


@pytest.fixture
def calling() -> type[Calling]:
    return Calling


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints"
