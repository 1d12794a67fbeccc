"""A run emits exactly what is requested, and calls nothing before that."""

from __future__ import annotations

import itertools

import pytest

from pipeline.compiler.runs import CHUNK
from pipeline.core.errors import UserFunctionError
from pipeline.core.records import Batch
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.map import Map
from pipeline.operators.map_batches import MapBatches
from pipeline.spi.operator import StreamOperator


async def async_range(count: int):
    for value in range(count):
        yield value


class Pairs(StreamOperator[int, int]):
    expands = True

    def __init__(self) -> None:
        self.seen: list[int] = []

    def process_batch(self, batch: Batch[int], input_index: int) -> Batch[int]:
        self.seen += batch.values
        return Batch([value for value in batch for _ in range(2)])


class Odd(StreamOperator[int, int]):
    def process_batch(self, batch: Batch[int], input_index: int) -> Batch[int]:
        return Batch([value for value in batch if value % 2])


SHAPES = {
    "steps": [Map(lambda x: x + 1), Filter(lambda x: x % 3)],
    "flat_map": [FlatMap(range), Map(lambda x: x + 1)],
    "async flat_map": [FlatMap(async_range), Map(lambda x: x + 1)],
    "map_batches": [MapBatches(lambda values: values + values)],
    "operator": [Odd()],
    "expanding operator": [Map(lambda x: x + 1), Pairs()],
    "piped": [
        FlatMap(range),
        Pairs(),
        Filter(lambda x: x > 1),
        MapBatches(lambda values: values),
        FlatMap(range),
        Odd(),
    ],
}


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("shape", SHAPES)
def test_takes_are_full_until_the_input_is_exhausted(build, shape, limit):
    chain = build(*SHAPES[shape])
    batch = Batch(list(range(12)))
    run = chain.iterate(batch)

    taken: list[int] = []
    while not run.exhausted:
        values = run.take(limit).values
        assert len(values) == limit or run.exhausted
        taken += values

    assert taken == list(chain.process(batch).values)
    assert len(run.take(limit)) == 0


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_is_called_without_demand(build, shape):
    calls: list[int] = []
    run = build(Map(calls.append), *SHAPES[shape]).iterate(Batch([1, 2]))

    assert len(run.take(0)) == 0
    assert calls == []
    assert not run.exhausted


def test_only_as_many_records_are_read_as_the_demand_needs(build):
    calls: list[int] = []

    def doubled(x: int) -> list[int]:
        calls.append(x)
        return [x, x]

    run = build(FlatMap(doubled)).iterate(Batch([1, 2, 3]))

    assert run.take(3).values == [1, 1, 2]
    assert calls == [1, 2]
    assert run.take(3).values == [2, 3, 3]


def test_without_flat_map_the_input_is_cut_to_the_demand(build):
    calls: list[int] = []

    def keep_even(x: int) -> bool:
        calls.append(x)
        return x % 2 == 0

    run = build(Filter(keep_even)).iterate(Batch(range(10)))

    assert run.take(2).values == [0, 2]
    assert calls == [0, 1, 2]
    assert run.take(9).values == [4, 6, 8]
    assert run.exhausted


def test_an_endless_flat_map_is_taken_as_it_comes(build):
    run = build(FlatMap(itertools.count), Map(lambda x: x * 2)).iterate(Batch([5, 6]))

    assert run.take(3).values == [10, 12, 14]
    assert run.take(2).values == [16, 18]
    assert not run.exhausted
    run.close()


def test_an_endless_flat_map_in_front_of_an_operator_is_taken_in_chunks(build):
    pairs = Pairs()
    run = build(FlatMap(itertools.count), pairs, Map(lambda x: x + 1)).iterate(Batch([0]))

    assert run.take(5).values == [1, 1, 2, 2, 3]
    assert len(pairs.seen) <= 5
    assert len(run.take(3 * CHUNK)) == 3 * CHUNK
    assert len(pairs.seen) <= 5 + 3 * CHUNK / 2 + CHUNK
    run.close()


@pytest.mark.parametrize("flavour", ["plain", "async"])
def test_close_closes_the_users_suspended_generator(build, flavour):
    closed: list[int] = []

    def plain(x: int):
        try:
            yield from itertools.count()
        finally:
            closed.append(x)

    run = build(FlatMap(plain), *([Map(_async_same)] if flavour == "async" else [])).iterate(Batch([7]))
    run.take(2)

    run.close()

    assert closed == [7]
    assert run.exhausted
    assert len(run.take(1)) == 0


async def _async_same(x: int) -> int:
    return x


def test_close_reaches_every_segment(build):
    closed: list[int] = []

    def endless(x: int):
        try:
            yield from itertools.count()
        finally:
            closed.append(x)

    run = build(FlatMap(endless), Pairs(), FlatMap(endless)).iterate(Batch([7]))
    run.take(2)
    run.close()

    assert closed == [0, 7]
    assert len(run.take(1)) == 0


@pytest.mark.parametrize("parts", [[Map(str)], [FlatMap(range)], [MapBatches(list)], [Map(abs), Pairs()]])
def test_a_closed_run_emits_nothing_more(build, parts):
    run = build(*parts).iterate(Batch([1, 2]))
    run.close()

    assert run.exhausted
    assert len(run.take(3)) == 0


def test_an_error_is_raised_by_the_take_that_reaches_it(build):
    run = build(FlatMap(lambda x: [1 // x])).iterate(Batch([1, 1, 0]))

    assert run.take(2).values == [1, 1]
    with pytest.raises(UserFunctionError, match="ZeroDivisionError"):
        run.take(1)


@pytest.mark.parametrize(
    "first", [Filter(lambda x: x < 3), FlatMap(lambda x: [x] if x < 3 else [])], ids=type
)
def test_a_segment_is_not_called_with_nothing(build, first):
    """What is left of a batch may all be filtered out; an operator would look in vain for its event time."""
    seen: list[tuple[list[int], list[int]]] = []

    class Timed(Pairs):
        def process_batch(self, batch: Batch[int], input_index: int) -> Batch[int]:
            seen.append((list(batch.values), list(batch.timestamps or ())))
            return super().process_batch(batch, input_index)

    for values in ([1, 2, 3, 4], [5, 6]):
        run = build(first, Timed()).iterate(Batch(values, [10 * value for value in values]))
        while not run.exhausted:
            run.take(2)
    assert seen == [([1, 2], [10, 20])]
