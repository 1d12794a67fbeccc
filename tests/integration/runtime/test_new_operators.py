"""A new operator is one file and a method: two that only this test knows run in whole jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from connectors import CollectionSource, CollectSink
from pipeline import GraphError, JobConfig, JobControl, JobStatus, SideTag, StreamJob
from pipeline.api.stream import Stream
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch
from pipeline.operators.base import Function, OperatorFactory, SideOutputSpec, Step
from pipeline.operators.key_selection import KeySelection
from pipeline.spi.operator import OperatorContext, StreamOperator
from state.descriptors import ValueStateDescriptor

pytestmark = pytest.mark.usefixtures("nothing_left")

FIRST = SideTag[int]("first")


# --- what a contributor would write in two files of pipeline/operators ------------------------------


@dataclass(frozen=True, slots=True)
class Peek(Step):
    """Show each record to the function and pass it on."""

    kind: ClassVar[str] = "peek"
    keeps_records: ClassVar[bool] = True

    @property
    def call(self) -> Function:
        def peek(record: Any) -> Any:
            self.function(record)
            return record

        return peek


@dataclass(frozen=True, slots=True)
class Count(OperatorFactory):
    """Number the records of each key; a key's first record goes to a side output, too."""

    kind: ClassVar[str] = "count"

    selector: Function
    on_error: ErrorPolicy = ErrorPolicy()

    @property
    def functions(self) -> Sequence[Function]:
        return ()

    @property
    def keeps_state(self) -> bool:
        return True

    @property
    def side_outputs(self) -> Sequence[SideOutputSpec]:
        return (SideOutputSpec(FIRST, "first records", "use another operator"),)

    def describe(self) -> str:
        return "numbers from 1"

    def create_operator(self) -> StreamOperator[Any, Any]:
        return CountOperator(self)


class CountOperator(StreamOperator[Any, Any]):
    def __init__(self, spec: Count) -> None:
        self._spec = spec

    def open(self, ctx: OperatorContext) -> None:
        self._ctx = ctx
        self._keys = KeySelection(self._spec.selector, self._spec.on_error, ctx.uid, ctx)
        self._table = ctx.keyed_state.table(ValueStateDescriptor[int](name="count"))

    def process_batch(self, batch: Batch[Any], input_index: int) -> Batch[Any]:
        batch, keys = self._keys.select(batch)
        state = self._table.batch(keys)
        results: list[Any] = []
        for key, value in zip(keys, batch.values, strict=True):
            state[key] = state.get(key, 0) + 1
            results.append((key, state[key], value))
            if state[key] == 1:
                self._ctx.side_output(FIRST, [value])
        return Batch(results, batch.timestamps, batch.origins)


# --- their methods ----------------------------------------------------------------------------------


def peek(stream: Stream[Any], function: Callable[[Any], object]) -> Stream[Any]:
    return Stream(stream.job, stream.job.graph.add_operator(Peek(function), [stream.output]))


def count(stream: Stream[Any], selector: Callable[[Any], Any]) -> Stream[Any]:
    keyed = stream.key_by(selector)
    return Stream(stream.job, stream.job.graph.add_operator(Count(selector), [keyed.output]))


def key_of(number: int) -> int:
    return number % 5


def expected(numbers: Sequence[int]) -> set[tuple[int, int, int]]:
    return {(number % 5, number // 5 + 1, number) for number in numbers}


@pytest.mark.parametrize("chains", ["generated", "interpreted"])
@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize("fused", [True, False])
def test_they_run_fused_and_apart(chains: str, parallelism: int, fused: bool) -> None:
    job = StreamJob("new", JobConfig(chains=chains, parallelism=parallelism))
    seen, results, firsts = list[int](), CollectSink[Any](), CollectSink[int]()
    shown = peek(job.source(CollectionSource(range(500))).map(int), seen.append)
    counted = count(shown, key_of)
    if not fused:
        shown.disable_chaining()
        counted.disable_chaining()
    counted.sink(results)
    counted.side_output(FIRST).sink(firsts, uid="firsts")
    assert job.execute().status is JobStatus.COMPLETED
    assert sorted(seen) == sorted(value for *_, value in results.values) == list(range(500))
    # Two subtasks of `peek` feed each of `count`: which record of a key comes first is open.
    assert sorted(numbered[:2] for numbered in results.values) == sorted(
        numbered[:2] for numbered in expected(range(500))
    )
    assert sorted(map(key_of, firsts.values)) == [0, 1, 2, 3, 4]


def test_its_state_and_a_restart(checkpoints: Path, gated_numbers: Any) -> None:
    """The state of an operator that the engine has never heard of continues from a checkpoint."""
    collected: list[Any] = []

    def run(numbers: int, stop_at: int | None) -> JobStatus:
        control, results = JobControl(), CollectSink[Any]()
        job = StreamJob("new", JobConfig(checkpoint_rows=150, checkpoint_dir=str(checkpoints)))

        def look(number: int) -> None:
            if number == stop_at:
                control.stop()

        source = gated_numbers(numbers)
        counted = count(peek(job.source(source, uid="numbers"), look), key_of)
        counted.sink(results)
        counted.side_output(FIRST).sink(CollectSink[Any](), uid="firsts")
        status = job.execute(control=control).status
        collected.extend(results.values)
        return status

    assert run(1000, stop_at=480) is JobStatus.CANCELLED
    assert 0 < len(collected) < 1000
    assert run(1000, stop_at=None) is JobStatus.COMPLETED
    assert (len(collected), set(collected)) == (1000, expected(range(1000)))


def test_it_explains_itself_and_its_side_output_needs_a_reader() -> None:
    job = StreamJob("new")
    counted = count(peek(job.source(CollectionSource([1])), print), key_of)
    counted.sink(CollectSink[Any]())
    with pytest.raises(GraphError, match="nobody reads the first records of count"):
        job.explain()
    counted.side_output(FIRST).sink(CollectSink[Any](), uid="firsts")
    assert "numbers from 1" in job.explain()
    assert "[Source+Peek] → KeyBy → [Count+Sink]" in job.explain()
