"""Async functions run on the vertex's event loop, one record after the other."""

from __future__ import annotations

import asyncio
import functools

import pytest

from pipeline.core.records import Batch
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.map import Map
from pipeline.operators.map_batches import MapBatches


class Service:
    """Things a user may await; writes down when each call began and ended."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def double(self, x: int) -> int:
        self.events.append(f"{x} in")
        await asyncio.sleep(0)
        self.events.append(f"{x} out")
        return x * 2

    async def is_odd(self, x: int) -> bool:
        await asyncio.sleep(0)
        return x % 2 == 1

    async def both_signs(self, x: int) -> list[int]:
        return [x, -x]

    async def pages(self, x: int):
        for page in range(x):
            await asyncio.sleep(0)
            yield page

    async def reverse(self, values: list[int]) -> list[int]:
        await asyncio.sleep(0)
        return values[::-1]


def test_records_are_awaited_in_order(build):
    service = Service()

    assert build(Map(service.double)).process(Batch([1, 2])).values == [2, 4]
    assert service.events == ["1 in", "1 out", "2 in", "2 out"]


@pytest.mark.parametrize("limit", [None, 1, 3, 100])
def test_every_kind_of_step_may_be_async(build, limit):
    service = Service()
    chain = build(
        Map(lambda x: x + 1),
        Filter(service.is_odd),
        FlatMap(service.both_signs),
        Map(abs),
        FlatMap(service.pages),
        MapBatches(service.reverse),
        Map(service.double),
    )
    if limit is None:
        assert chain.process(Batch(range(4))).values == [4, 2, 0, 4, 2, 0, 0, 0]
        return
    run, outputs = chain.iterate(Batch(range(4))), []
    while not run.exhausted:
        outputs += run.take(limit).values
    assert sorted(outputs) == [0, 0, 0, 0, 2, 2, 4, 4]


def test_partials_and_callable_objects_are_seen_through(build):
    class Adder:
        async def __call__(self, x: int) -> int:
            return x + 1

    class Counter:
        async def __call__(self, x: int):
            for value in range(x):
                yield value

    async def times(factor: int, x: int) -> int:
        return factor * x

    async def repeated(count: int, x: int):
        for _ in range(count):
            yield x

    chain = build(
        Map(Adder()),
        Map(functools.partial(times, 2)),
        FlatMap(Counter()),
        FlatMap(functools.partial(repeated, 2)),
    )

    assert chain.process(Batch([0])).values == [0, 0, 1, 1]


@pytest.mark.parametrize("mode", ["generated"], indirect=True)
def test_a_generated_chain_enters_the_loop_once_for_a_batch_or_a_take(build, ctx):
    service = Service()
    chain = build(Map(service.double), FlatMap(service.pages), Map(lambda x: x))

    chain.process(Batch([1, 2, 3]))
    assert ctx.loop_runs == 1

    run = chain.iterate(Batch([1, 2, 3]))
    run.take(4)
    assert ctx.loop_runs == 2
    run.close()
