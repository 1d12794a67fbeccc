"""Any sequence of calls, restarts and rescalings leaves what plain dicts would hold."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from operator import add
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.testing.clock import ManualClock
from state.backend import KeyedStateBackend, StateBackendFactory
from state.descriptors import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    ValueStateDescriptor,
)
from state.keys import groups_of, key_group, subtask_of

from .conftest import Averaging, of, snapshot_of

TTL_MS = 100
KEYS = st.sampled_from([0, 1, True, False, "0", "1", b"1", (1,), (True,), ((1,),), "a", "b"])
NAMES = ("value", "list", "map", "sum", "mean")


@dataclass
class Entry:
    """One thing that lives and dies as a whole: its key, what it holds, when it was written."""

    key: Any
    content: Any
    written: int


@dataclass
class Model:
    """What should be there: entries by state and key, those of a map by its keys too."""

    clock: ManualClock
    ttl: timedelta | None
    entries: dict[tuple[str, ...], Entry] = field(default_factory=dict[tuple[str, ...], Entry])

    def living(self, *path: str) -> Entry | None:
        found = self.entries.get(path)
        expired = self.ttl and found and self.clock.now_ms() - found.written >= TTL_MS
        return None if expired else found

    def write(self, key: Any, content: Any, *path: str) -> None:
        self.entries[path] = Entry(key, content, self.clock.now_ms())

    def fold(self, key: Any, change: Callable[[Any], Any], *path: str) -> None:
        known = self.living(*path)
        self.write(key, change(None if known is None else known.content), *path)

    def clear(self, *path: str) -> None:
        for other in [other for other in self.entries if other[: len(path)] == path]:
            del self.entries[other]

    def map_of(self, code: str) -> dict[str, Any]:
        found = {path[2]: self.living(*path) for path in self.entries if path[:2] == ("map", code)}
        return {item: entry.content for item, entry in found.items() if entry is not None}


class Job:
    """All subtasks of an operator beside their model; states are named when they are first used."""

    def __init__(self, factory: StateBackendFactory, clock: ManualClock, ttl: timedelta | None) -> None:
        self._factory = factory
        self._clock = clock
        self._model = Model(clock, ttl)
        self._value = ValueStateDescriptor[int](name="value", ttl=ttl)
        self._list = ListStateDescriptor(name="list", ttl=ttl)
        self._map = MapStateDescriptor(name="map", ttl=ttl)
        self._sum = ReducingStateDescriptor[int](name="sum", ttl=ttl, reduce=add)
        self._mean = AggregatingStateDescriptor[int, list[int], float](
            name="mean", ttl=ttl, aggregate=Averaging()
        )
        self._subtasks: list[KeyedStateBackend] = []
        self.rescale(1)

    def value(self, key: Any, number: int) -> None:
        self._of(key).value_state(self._value).update(number)
        self._model.write(key, number, "value", code(key))

    def list(self, key: Any, number: int) -> None:
        self._of(key).list_state(self._list).add(number)
        self._model.fold(key, lambda known: [*(known or ()), number], "list", code(key))

    def map(self, key: Any, number: int, item: Any) -> None:
        self._of(key).map_state(self._map).put(item, number)
        self._model.write(item, number, "map", code(key), code(item))

    def remove(self, key: Any, number: int, item: Any) -> None:
        self._of(key).map_state(self._map).remove(item)
        self._model.clear("map", code(key), code(item))

    def sum(self, key: Any, number: int) -> None:
        self._of(key).reducing_state(self._sum).add(number)
        self._model.fold(key, lambda known: number + (known or 0), "sum", code(key))

    def mean(self, key: Any, number: int) -> None:
        self._of(key).aggregating_state(self._mean).add(number)
        self._model.fold(
            key, lambda known: [number + (known or [0, 0])[0], 1 + (known or [0, 0])[1]], "mean", code(key)
        )

    def batch(self, key: Any, number: int, item: Any) -> None:
        """Count in two keys at once, where one subtask owns both."""
        keys = [key, item, key] if self._owner(key) == self._owner(item) else [key]
        state = self._of(key).table(self._sum).batch(keys)
        for one in keys:
            state[one] = state.get(one, 0) + number
            self._model.fold(one, lambda known: number + (known or 0), "sum", code(one))

    def clear(self, key: Any, number: int) -> None:
        name = NAMES[number % len(NAMES)]
        self._states(key)[name].clear()
        self._model.clear(name, code(key))

    def wait(self, ms: int) -> None:
        self._clock.advance(timedelta(milliseconds=ms))

    def rescale(self, parallelism: int) -> None:
        """Stop at a checkpoint and continue from it, maybe with more or fewer subtasks."""
        parts = [snapshot_of(subtask) for subtask in self._subtasks]
        self.close()
        ranges = [groups_of(subtask, parallelism, 128) for subtask in range(parallelism)]
        self._subtasks = [self._factory.create("sum", groups, 128) for groups in ranges]
        for subtask in self._subtasks:
            subtask.restore([io.BytesIO(part) for part in parts])

    def close(self) -> None:
        for subtask in self._subtasks:
            subtask.close()

    def check(self) -> None:
        """Name every state everywhere, and compare: key by key, and all that is listed."""
        for key in {path[1]: self._key(path) for path in self._model.entries}.values():
            states = self._states(key)
            living = {name: self._model.living(name, code(key)) for name in NAMES}
            content = {name: None if entry is None else entry.content for name, entry in living.items()}
            assert states["value"].value() == content["value"]
            assert list(states["list"].get()) == (content["list"] or [])
            assert states["sum"].get() == content["sum"]
            mean = content["mean"]
            assert states["mean"].get() == (None if mean is None else mean[0] / mean[1])
            assert {code(item): value for item, value in states["map"].items()} == self._model.map_of(
                code(key)
            )
        listed = {
            (name, code(key))
            for name in NAMES
            for subtask in self._subtasks
            if name in subtask.names()
            for key, _ in subtask.entries(name)
        }
        assert listed == {path[:2] for path in self._model.entries if self._model.living(*path)}

    def _key(self, path: tuple[str, ...]) -> Any:
        return eval(path[1])

    def _owner(self, key: Any) -> int:
        return subtask_of(key_group(key, 128), len(self._subtasks), 128)

    def _of(self, key: Any) -> KeyedStateBackend:
        return of(self._subtasks[self._owner(key)], key)

    def _states(self, key: Any) -> dict[str, Any]:
        backend = self._of(key)
        return {
            "value": backend.value_state(self._value),
            "list": backend.list_state(self._list),
            "map": backend.map_state(self._map),
            "sum": backend.reducing_state(self._sum),
            "mean": backend.aggregating_state(self._mean),
        }


def code(key: Any) -> str:
    """Return a text that only equal keys of the same types share."""
    return repr(key)


numbers = st.integers(-9, 9)
steps = st.one_of(
    st.tuples(st.sampled_from(["value", "list", "sum", "mean", "clear"]), KEYS, numbers),
    st.tuples(st.sampled_from(["map", "map", "remove", "batch"]), KEYS, numbers, KEYS),
    st.tuples(st.just("wait"), st.sampled_from([1, 40, 99, 100])),
    st.tuples(st.just("rescale"), st.integers(1, 3)),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, max_size=25), st.sampled_from([None, timedelta(milliseconds=TTL_MS)]))
def test_it_does_what_dicts_do(
    backend_factory: StateBackendFactory,
    clock: ManualClock,
    done: list[tuple[Any, ...]],
    ttl: timedelta | None,
) -> None:
    """With and without lifetimes, at any parallelism, in any order of naming states."""
    job = Job(backend_factory, clock, ttl)
    for name, *arguments in done:
        getattr(job, name)(*arguments)
    job.check()
    job.rescale(2)
    job.check()
    job.close()
