"""OperatorHarness: it does to an operator what the engine does, no more and no less."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.errors import EncodingError, StateError
from pipeline.core.policy import SideTag
from pipeline.core.records import Batch, Origin
from pipeline.operators.reduce import Reduce
from pipeline.spi.operator import OperatorContext, StreamOperator
from pipeline.testing.clock import ManualClock
from pipeline.testing.harness import OperatorHarness
from state.descriptors import ValueStateDescriptor

ODD: SideTag[int] = SideTag("odd")
SUM = ValueStateDescriptor(name="sum", default=0)


class Spy(StreamOperator[int, int]):
    """Writes down each call; holds values back until a watermark, sends odd ones aside, sums per key."""

    def __init__(self, memory: Any = None) -> None:
        self.calls: list[Any] = []
        self.memory = memory

    def open(self, ctx: OperatorContext) -> None:
        self.calls.append("open")
        self.ctx = ctx
        self._sum = ctx.keyed_state.value_state(SUM)
        self._held: list[int] = []

    def initialize_state(self, state: Any) -> None:
        self.calls.append(("initialize_state", state))

    def process_batch(self, batch: Batch[int], input_index: int) -> Batch[int]:
        self.calls.append(list(batch))
        odd = [value for value in batch if value % 2]
        self.ctx.side_output(ODD, odd)
        self.ctx.count_failed(len(odd))
        self.ctx.pause(timedelta(seconds=len(odd)))
        for value in batch:
            self.ctx.keyed_state.set_current_key(value % 10)
            self._sum.update((self._sum.value() or 0) + value)
        self._held.extend(batch)
        return batch

    def process_watermark(self, timestamp: int) -> Batch[int] | None:
        fired = [value for value in self._held if value <= timestamp]
        return Batch(fired) if fired else None

    def finish(self) -> Batch[int] | None:
        return Batch(self._held)

    def snapshot_state(self) -> Any:
        return self.memory

    def close(self) -> None:
        self.calls.append("close")


def sums(harness: OperatorHarness) -> dict[Any, Any]:
    return dict(harness.keyed_state.entries("sum"))


def test_the_life_of_an_operator() -> None:
    spy = Spy()
    with OperatorHarness(spy) as harness:
        assert harness.process([1, 2]) == [1, 2]
        assert harness.watermark(0) == []
        assert harness.watermark(1) == [1]
        assert harness.finish() == [1, 2]
    assert spy.calls == ["open", [1, 2], "close"]


def test_what_the_operator_asks_of_its_context_can_be_seen() -> None:
    """Pauses are noted and not waited for."""
    with OperatorHarness(Spy()) as harness:
        assert (harness.failed, harness.pauses, harness.side_output(ODD)) == (0, [], [])
        harness.process([1, 2, 3])
        harness.process([5])
        assert (harness.failed, harness.side_output(ODD)) == (3, [1, 3, 5])
        assert harness.pauses == [timedelta(seconds=2), timedelta(seconds=1)]
        assert sums(harness) == {1: 1, 2: 2, 3: 3, 5: 5}


def test_the_operator_gets_its_place() -> None:
    clock = ManualClock(start_ms=5)
    spy = Spy()
    with OperatorHarness(spy, uid="sums", clock=clock, subtask=1, parallelism=3):
        ctx = spy.ctx
        assert (ctx.job_name, ctx.uid, ctx.subtask, ctx.parallelism) == ("harness", "sums", 1, 3)
        assert ctx.clock is clock


def test_timestamps_and_origins_go_in() -> None:
    with OperatorHarness(Spy()) as harness:
        out = harness.process_batch(Batch([2], [20], [Origin("f", 0)]))
        assert (out.timestamps, out.origins) == ([20], [Origin("f", 0)])


class TestSnapshots:
    def test_operator_state_comes_back_through_its_stored_form(self) -> None:
        """After `open`, as in the engine; the same value of the same type."""
        memory = {"seen": (1, 2), "since": timedelta(seconds=3)}
        with OperatorHarness(Spy(memory)) as harness:
            snapshot = harness.snapshot()
        memory.clear()
        restored = Spy()
        with OperatorHarness(restored, restore=snapshot):
            assert restored.calls == [
                "open",
                ("initialize_state", {"seen": (1, 2), "since": timedelta(seconds=3)}),
            ]

    def test_nothing_is_restored_where_nothing_was_stored(self) -> None:
        with OperatorHarness(Spy(memory=None)) as harness:
            snapshot = harness.snapshot()
        restored = Spy()
        with OperatorHarness(restored, restore=snapshot):
            assert restored.calls == ["open"]

    def test_what_no_checkpoint_could_store_is_refused(self) -> None:
        with OperatorHarness(Spy(memory=object())) as harness, pytest.raises(EncodingError):
            harness.snapshot()

    @pytest.mark.parametrize("parallelism", [1, 2, 5])
    def test_each_subtask_gets_its_keys_and_its_own_operator_state(self, parallelism: int) -> None:
        """No key is in two subtasks and none is lost; back in one, everything is as it was."""
        with OperatorHarness(Spy(memory=[0])) as harness:
            harness.process(list(range(10)))
            whole, snapshot = sums(harness), harness.snapshot()
        parts: list[dict[Any, Any]] = []
        snapshots: list[Any] = []
        for subtask in range(parallelism):
            spy = Spy(memory=[subtask])
            with OperatorHarness(spy, restore=snapshot, subtask=subtask, parallelism=parallelism) as harness:
                assert (spy.calls == ["open"]) == (subtask > 0)
                parts.append(sums(harness))
                snapshots.append(harness.snapshot())
        assert sum(len(part) for part in parts) == len(whole)
        assert {key: value for part in parts for key, value in part.items()} == whole
        last = Spy()
        with OperatorHarness(last, restore=snapshots, subtask=0) as harness:
            assert sums(harness) == whole
            assert last.calls[1:] == [("initialize_state", [0])]

    def test_key_groups_must_fit(self) -> None:
        with OperatorHarness(Spy(), max_parallelism=64) as harness:
            harness.process([1])
            snapshot = harness.snapshot()
        with pytest.raises(StateError):
            OperatorHarness(Spy(), restore=snapshot, max_parallelism=128)


class TestClosing:
    def test_the_state_is_closed_even_if_the_operator_cannot_be(self) -> None:
        class Stuck(Spy):
            def close(self) -> None:
                raise OSError("busy")

        harness = OperatorHarness(Stuck())
        harness.process([1])
        with pytest.raises(OSError, match="busy"):
            harness.close()
        assert list(harness.keyed_state.names()) == []

    def test_a_description_is_made_an_operator(self) -> None:
        spec = Reduce(max, lambda value: value % 2)
        with OperatorHarness(spec) as first, OperatorHarness(spec) as second:
            assert first.process([3, 1]) == [3, 3]
            assert second.process([1]) == [1]


def test_batches_of_any_sequence() -> None:
    inputs: list[Sequence[int]] = [[2], (2,), range(2, 3)]
    for values in inputs:
        with OperatorHarness(Spy()) as harness:
            assert harness.process(values) == [2]
