"""A chain emits what its stages, one after the other, would emit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from pipeline.compiler import StepStage, compile_chain
from pipeline.core.errors import ConfigError, StateError, UserFunctionError
from pipeline.core.functions import is_async
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch, Origin
from pipeline.operators.base import Function, Step, Yields
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.map import Map
from pipeline.operators.map_batches import MapBatches
from pipeline.spi.operator import StreamOperator


class RunningSum(StreamOperator[int, int]):
    """Sums up; a watermark emits the sum so far, negative, the end emits it as it is."""

    def __init__(self) -> None:
        self.sum = 0
        self.batches: list[list[int]] = []

    def process_batch(self, batch: Batch[int], input_index: int) -> Batch[int]:
        self.batches.append(list(batch.values))
        sums: list[int] = []
        for value in batch:
            self.sum += value
            sums.append(self.sum)
        return Batch(sums)

    def process_watermark(self, timestamp: int) -> Batch[int]:
        return Batch([-self.sum], [timestamp])

    def finish(self) -> Batch[int]:
        return Batch([self.sum])


class Twice(StreamOperator[int, int]):
    expands = True

    def process_batch(self, batch: Batch[int], input_index: int) -> Batch[int]:
        return Batch([value for value in batch for _ in range(2)])


def test_steps_apply_in_order(build):
    chain = build(Map(lambda x: x + 1), Filter(lambda x: x % 3), Map(lambda x: x * 2), Map(str))

    assert chain.process(Batch(range(6))).values == ["2", "4", "8", "10"]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([Map(lambda x: x * 2)], [0, 2, 4, 6]),
        ([Filter(lambda x: x > 1)], [2, 3]),
        ([FlatMap(range)], [0, 0, 1, 0, 1, 2]),
        ([FlatMap(range), Filter(lambda x: x)], [1, 1, 2]),
        (
            [FlatMap(range), FlatMap(lambda x: [x] * 2), Map(lambda x: -x)],
            [0, 0, 0, 0, -1, -1, 0, 0, -1, -1, -2, -2],
        ),
        ([Filter(lambda x: x == 3), FlatMap(lambda x: iter("abc")), Map(str.upper)], ["A", "B", "C"]),
        ([MapBatches(lambda values: values[::-1])], [3, 2, 1, 0]),
        ([Map(lambda x: x + 1), MapBatches(sorted), FlatMap(range)], [0, 0, 1, 0, 1, 2, 0, 1, 2, 3]),
    ],
)
def test_every_kind_of_step(build, steps, expected):
    assert list(build(*steps).process(Batch(range(4))).values) == expected


def test_a_chain_without_stages_passes_on_what_it_gets(build):
    batch = Batch([1, 2], [10, 20])
    chain = build()

    assert chain.process(batch) is batch
    assert chain.iterate(batch).take(5) is batch
    assert not chain.expands
    assert chain.source is None


def test_an_empty_batch_calls_nothing(build):
    chain = build(MapBatches(lambda values: [len(values)]), RunningSum())

    assert len(chain.process(Batch([]))) == 0
    assert len(chain.iterate(Batch([])).take(5)) == 0


def test_a_stage_is_not_called_with_nothing(build):
    sums = RunningSum()

    assert len(build(Filter(lambda x: False), sums).process(Batch([1, 2]))) == 0
    assert sums.batches == []


@pytest.mark.parametrize(
    ("parts", "expands"),
    [
        ([Map(str), Filter(bool)], False),
        ([Map(str), FlatMap(list)], True),
        ([MapBatches(list)], True),
        ([RunningSum()], False),
        ([Map(abs), Twice()], True),
    ],
)
def test_expands_says_whether_a_record_can_become_several(build, parts, expands):
    assert build(*parts).expands is expands


def test_batches_may_hold_any_sequence(build):
    chain = build(Map(lambda x: x))
    for values in ([1, 2], (1, 2), range(1, 3), "12", b"\x01\x02"):
        assert chain.process(Batch(values)).values == list(values)


def test_an_operator_between_steps_sees_what_comes_out_before_it(build):
    sums = RunningSum()
    chain = build(Filter(lambda x: x % 2), sums, Map(lambda x: x * 10))

    assert chain.process(Batch([1, 2, 3])).values == [10, 40]
    assert chain.process(Batch([5])).values == [90]
    assert sums.batches == [[1, 3], [5]]


def test_a_watermark_passes_stage_by_stage(build):
    """What an earlier stage fires is processed by a later one before that sees the watermark."""
    first, second = RunningSum(), RunningSum()
    chain = build(first, Map(lambda x: x + 100), second, Filter(lambda x: x != 0))
    chain.process(Batch([1, 2]))  # first emits 1, 3; second emits 101, 204

    fired = chain.watermark(7)

    # first fires -3, mapped to 97: second emits 204 + 97, then fires its own sum.
    assert fired.values == [301, -301]
    assert fired.timestamps is None


def test_a_firing_keeps_its_timestamps(build):
    chain = build(RunningSum(), Map(lambda x: x - 1))

    fired = chain.watermark(7)

    assert fired.values == [-1]
    assert fired.timestamps == [7]


def test_finish_passes_stage_by_stage(build):
    first, second = RunningSum(), RunningSum()
    chain = build(first, Map(lambda x: x + 100), second)
    chain.process(Batch([1]))

    assert chain.finish().values == [202, 202]


def test_without_operators_nothing_fires(build):
    chain = build(Map(str))

    assert len(chain.watermark(1)) == 0
    assert len(chain.finish()) == 0


def test_map_batches_owns_the_list_it_gets(build):
    """Whatever the function does to its list, the batch stays as it was."""
    values = [3, 1, 2]

    def empty(batch: list[int]) -> list[int]:
        results = sorted(batch)
        batch.clear()
        return results

    assert build(MapBatches(empty)).process(Batch(values)).values == [1, 2, 3]
    assert values == [3, 1, 2]


def test_what_map_batches_returned_is_copied(build):
    """A function may reuse the list it returns."""
    buffer: list[int] = []

    def reuse(batch: list[int]) -> list[int]:
        buffer[:] = batch
        return buffer

    chain = build(MapBatches(reuse))
    first = chain.process(Batch([1]))
    chain.process(Batch([2]))

    assert first.values == [1]


def test_an_error_of_an_operator_says_where(build):
    class Failing(StreamOperator[Any, Any]):
        def process_batch(self, batch: Batch[Any], input_index: int) -> Batch[Any]:
            raise StateError("broken")

        def process_watermark(self, timestamp: int) -> Batch[Any]:
            raise StateError("broken")

        def finish(self) -> Batch[Any]:
            raise StateError("broken").located(operator="inner")

    chain = build(Map(str), Failing())
    for call in (lambda: chain.process(Batch([1])), lambda: chain.watermark(1)):
        with pytest.raises(StateError) as caught:
            call()
        assert (caught.value.job, caught.value.operator) == ("test-job", "s1")
    with pytest.raises(StateError) as caught:
        chain.finish()
    assert caught.value.operator == "inner"


def test_origins_leave_the_chain_only_if_told(build):
    batch = Batch([1, 2], None, [Origin("f", 0), Origin("f", 1)])

    for parts in ([], [Map(str)], [Filter(bool)], [FlatMap(lambda x: [x])], [MapBatches(list)]):
        assert build(*parts).process(batch).origins is None
        assert list(build(*parts, carry_origins=True).process(batch).origins) == batch.origins


def test_the_environment_chooses_the_default(monkeypatch, ctx):
    stages = [StepStage("m", Map(str))]

    monkeypatch.delenv("PIPELINE_CHAINS", raising=False)
    assert compile_chain(stages, ctx).source is not None
    monkeypatch.setenv("PIPELINE_CHAINS", "interpreted")
    assert compile_chain(stages, ctx).source is None
    monkeypatch.setenv("PIPELINE_CHAINS", "jit")
    with pytest.raises(ConfigError, match="'jit'"):
        compile_chain(stages, ctx)


@dataclass(frozen=True, slots=True)
class Peek(Step):
    """Shows each record to the function and passes it on; the compiler has never heard of it."""

    kind: ClassVar[str] = "peek"

    @property
    def call(self) -> Function:
        function = self.function

        async def peek_async(record: Any) -> Any:
            await function(record)
            return record

        def peek(record: Any) -> Any:
            function(record)
            return record

        return peek_async if is_async(function) else peek


@dataclass(frozen=True, slots=True)
class Unless(Step):
    """A filter the other way round."""

    kind: ClassVar[str] = "unless"
    yields: ClassVar[Yields] = Yields.FILTER

    @property
    def call(self) -> Function:
        return lambda record: not self.function(record)


@dataclass(frozen=True, slots=True)
class Spread(Step):
    kind: ClassVar[str] = "spread"
    yields: ClassVar[Yields] = Yields.MANY


@dataclass(frozen=True, slots=True)
class Sorted(Step):
    kind: ClassVar[str] = "sorted"
    yields: ClassVar[Yields] = Yields.BATCH

    @property
    def call(self) -> Function:
        return lambda records: sorted(records, key=self.function)


def test_a_step_of_ones_own_runs_by_the_shape_it_names(build):
    seen: list[int] = []
    chain = build(
        Peek(seen.append), Unless(lambda x: x % 2), Spread(lambda x: [x] * x), Sorted(lambda x: -x), Map(str)
    )

    assert chain.process(Batch(range(5))).values == ["4", "4", "4", "4", "2", "2"]
    assert seen == [0, 1, 2, 3, 4]


def test_a_step_of_ones_own_may_be_async(build):
    seen: list[int] = []

    async def see(x: int) -> None:
        await asyncio.sleep(0)
        seen.append(x)

    assert build(Peek(see), Map(str)).process(Batch([1, 2])).values == ["1", "2"]
    assert seen == [1, 2]


def test_an_error_of_a_step_of_ones_own_names_the_users_function(build):
    def look(x: int) -> None:
        raise ValueError(x)

    with pytest.raises(UserFunctionError, match="look raised ValueError: 1") as raised:
        build(Map(lambda x: x), Peek(look)).process(Batch([1]))
    assert "look (" in str(raised.value)
    chain = build(Peek(look, ErrorPolicy.skip()), Map(str))
    assert chain.process(Batch([1])).values == []
