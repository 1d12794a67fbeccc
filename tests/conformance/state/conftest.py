"""Every implementation of `KeyedStateBackend`, to be held to one contract: add a factory here."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.clock import Clock
from pipeline.testing.clock import ManualClock
from state.backend import KeyedStateBackend, StateBackendFactory
from state.memory import MemoryStateBackendFactory
from tests.unit.state.snapshots import snapshot_of

__all__ = ["snapshot_of"]

FACTORIES: dict[str, Callable[[Clock], StateBackendFactory]] = {"memory": MemoryStateBackendFactory}
ALL_GROUPS = range(128)


class Subtasks:
    """Makes the backends of a test, all of operator `sum`, and closes them at its end."""

    def __init__(self, factory: StateBackendFactory) -> None:
        self._factory = factory
        self._made: list[KeyedStateBackend] = []

    def make(self, groups: range = ALL_GROUPS, max_parallelism: int = 128) -> KeyedStateBackend:
        made = self._factory.create("sum", groups, max_parallelism)
        self._made.append(made)
        return made

    def restored(self, *parts: bytes, groups: range = ALL_GROUPS) -> KeyedStateBackend:
        """A new backend, as another process has it, that continues from `parts`."""
        made = self.make(groups)
        made.restore([io.BytesIO(part) for part in parts])
        return made

    def close(self) -> None:
        for made in self._made:
            made.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(start_ms=1_700_000_000_000)


@pytest.fixture(params=list(FACTORIES))
def backend_factory(request: pytest.FixtureRequest, clock: ManualClock) -> StateBackendFactory:
    return FACTORIES[request.param](clock)


@pytest.fixture
def subtasks(backend_factory: StateBackendFactory) -> Iterator[Subtasks]:
    made = Subtasks(backend_factory)
    yield made
    made.close()


@pytest.fixture
def backend(subtasks: Subtasks) -> KeyedStateBackend:
    """One that owns all key groups; its current key is `a`."""
    made = subtasks.make()
    made.set_current_key("a")
    return made


@pytest.fixture
def advance(clock: ManualClock) -> Callable[[int], None]:
    """Let milliseconds pass."""
    return lambda ms: clock.advance(timedelta(milliseconds=ms))


class Averaging:
    """The mean; its accumulator is changed in place, as the contract allows."""

    def create_accumulator(self) -> list[int]:
        return [0, 0]

    def add(self, value: int, accumulator: list[int]) -> list[int]:
        accumulator[0] += value
        accumulator[1] += 1
        return accumulator

    def get_result(self, accumulator: list[int]) -> float:
        return accumulator[0] / accumulator[1]

    def merge(self, first: list[int], second: list[int]) -> list[int]:
        return [first[0] + second[0], first[1] + second[1]]


def of(backend: KeyedStateBackend, key: Any) -> KeyedStateBackend:
    """The backend, speaking of `key`."""
    backend.set_current_key(key)
    return backend
