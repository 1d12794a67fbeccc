"""The engine's own path against the rules of publishers: a thread, and a chain compiled in either way."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from pipeline.compiler import StepStage, compile_chain
from pipeline.core.records import FailedRecord
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.map import Map
from pipeline.reactive import Flux
from tests.conformance.reactive.threads import Connected, ThreadedPublishers, failing, numbers

CHAINS = {
    "map": lambda: [Map(lambda value: value)],
    "filter": lambda: [Filter(lambda value: value > 0)],
    "flat_map": lambda: [FlatMap(lambda value: [value])],
    "map, flat_map, filter": lambda: [
        Map(lambda value: value),
        FlatMap(lambda value: [value, -value]),
        Filter(lambda value: value > 0),
    ],
}
MODES = ("generated", "interpreted")


class Vertex:
    job_name = "conformance"

    def side_output(self, tag: Any, values: Any) -> None: ...
    def count_failed(self, records: int, samples: Sequence[FailedRecord] = ()) -> None: ...
    def pause(self, delay: timedelta) -> None: ...
    def run_async(self, coroutine: Any) -> Any: ...


class Chains(ThreadedPublishers):
    @pytest.fixture(autouse=True, params=[(mode, chain) for chain in CHAINS for mode in MODES], ids="-".join)
    def choose(self, request: pytest.FixtureRequest) -> None:
        self.mode, self.chain = request.param

    def compiled(self) -> Any:
        stages = [StepStage(f"step-{index}", step) for index, step in enumerate(CHAINS[self.chain]())]
        return compile_chain(stages, Vertex(), mode=self.mode)

    def create_publisher(self, elements: int) -> Flux[int]:
        return self.chained(numbers(elements), self.compiled)

    def create_failed_publisher(self) -> Flux[int]:
        return self.chained(failing, self.compiled)


class TestChainsWithSingleRecords(Chains):
    __test__ = True


class TestChainsWithBatches(Connected, Chains):
    __test__ = True
