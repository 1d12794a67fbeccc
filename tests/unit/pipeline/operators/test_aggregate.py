"""aggregate: a running result of an accumulator per key, whichever of its methods fails."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import UserFunctionError
from pipeline.core.functions import function_ref
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch, Origin, OriginRange
from pipeline.operators.aggregate import Aggregate
from pipeline.testing.harness import OperatorHarness
from state.keys import groups_of, key_group

from .conftest import Flaky, Mean, parity


class FlakyMean(Mean):
    """Adds and divides, but not every number: 3 cannot be added, a sum of 2 not be divided."""

    def __init__(self, adding: int = 0, concluding: int = 0, failures: int = 10**9) -> None:
        self._add = Flaky(lambda accumulator, value: Mean().add(value, accumulator), adding, failures)
        self._conclude = Flaky(lambda accumulator, _: Mean().get_result(accumulator), concluding, failures)

    def add(self, value: int, accumulator: list[int]) -> list[int]:
        return self._add(accumulator, value)

    def get_result(self, accumulator: list[int]) -> float:
        return self._conclude(accumulator, accumulator[0])


def running_means(values: Sequence[int], modulus: int) -> list[float]:
    seen: dict[int, list[int]] = {}
    results: list[float] = []
    for value in values:
        of_key = seen.setdefault(value % modulus, [])
        of_key.append(value)
        results.append(sum(of_key) / len(of_key))
    return results


def test_each_record_emits_the_result_so_far() -> None:
    with OperatorHarness(Aggregate(Mean(), parity)) as harness:
        assert harness.process([1, 2, 3, 4]) == [1.0, 2.0, 2.0, 3.0]
        assert harness.process([5]) == [3.0]


def test_each_key_has_an_accumulator_of_its_own() -> None:
    """`create_accumulator` is called once per key, and an accumulator changed in place is nobody else's."""

    class Counting(Mean):
        created = 0

        def create_accumulator(self) -> list[int]:
            self.created += 1
            return super().create_accumulator()

    mean = Counting()
    with OperatorHarness(Aggregate(mean, lambda value: value % 3)) as harness:
        harness.process([0, 1, 2, 3, 4, 5])
        harness.process([6, 7, 8])
        assert dict(harness.keyed_state.entries("accumulator")) == {0: [9, 3], 1: [12, 3], 2: [15, 3]}
    assert mean.created == 3


class Becoming:
    """An accumulator that is new for the first record and the same falsy value ever after."""

    def __init__(self, falsy: Any) -> None:
        self._falsy = falsy

    def create_accumulator(self) -> Any:
        return "new"

    def add(self, value: Any, accumulator: Any) -> Any:
        assert accumulator == ("new" if value == 1 else self._falsy)
        return self._falsy

    def get_result(self, accumulator: Any) -> Any:
        return accumulator

    def merge(self, first: Any, second: Any) -> Any:
        return first


@pytest.mark.parametrize("falsy", [None, 0, ""])
def test_a_falsy_accumulator_is_one(falsy: Any) -> None:
    """None, 0 and "" are accumulators like others, not the absence of one."""

    with OperatorHarness(Aggregate(Becoming(falsy), lambda _: "k")) as harness:
        assert harness.process([1, 2]) == [falsy] * 2
        assert harness.process([3]) == [falsy]


@given(st.lists(st.integers(-99, 99), max_size=60), st.integers(0, 60), st.integers(2, 5))
def test_state_follows_its_keys_to_more_subtasks_and_back(
    values: list[int], cut: int, parallelism: int
) -> None:
    """From 1 to N subtasks and back to 1: the results are those of an undisturbed run."""
    spec = Aggregate(Mean(), lambda value: value % 7)
    expected = running_means(values, 7)
    with OperatorHarness(spec) as harness:
        harness.process(values[: cut // 2])
        snapshot = harness.snapshot()
    snapshots: list[Any] = []
    for subtask in range(parallelism):
        groups = groups_of(subtask, parallelism, 128)
        mine = [value for value in values[cut // 2 : cut] if key_group(value % 7, 128) in groups]
        with OperatorHarness(spec, restore=snapshot, subtask=subtask, parallelism=parallelism) as harness:
            harness.process(mine)
            snapshots.append(harness.snapshot())
    with OperatorHarness(spec, restore=snapshots) as harness:
        assert harness.process(values[cut:]) == expected[cut:]


def test_a_snapshot_shares_nothing_with_what_continues() -> None:
    """The accumulator is changed in place; what was stored of it is not."""
    with OperatorHarness(Aggregate(Mean(), parity)) as harness:
        harness.process([1])
        snapshot = harness.snapshot()
        harness.process([99])
    with OperatorHarness(Aggregate(Mean(), parity), restore=snapshot) as harness:
        assert harness.process([3]) == [2.0]


ORIGINS = OriginRange("orders", 10, 4)
"""Of the records 1, 2, 3, 5 in the tests below."""


class TestErrors:
    @pytest.mark.parametrize(
        ("mean", "selector", "function", "position"),
        [
            (FlakyMean(adding=3), parity, "FlakyMean.add", 12),
            (FlakyMean(concluding=2), parity, "FlakyMean.get_result", 11),
            (Mean(), Flaky(parity, 5), "Flaky", 13),
        ],
    )
    def test_it_fails_naming_the_method_that_raised(
        self, mean: Mean, selector: Any, function: str, position: int
    ) -> None:
        """With file and line: `Mean.add` tells more than `aggregate`."""
        with (
            OperatorHarness(Aggregate(mean, selector), uid="means") as harness,
            pytest.raises(UserFunctionError, match=f"^{function} raised ValueError: bad") as raised,
        ):
            harness.process([1, 2, 3, 5], origins=ORIGINS)
        error = raised.value
        assert (error.operator, error.position) == ("means", f"orders@{position}")
        assert error.function is not None
        assert error.function.startswith(f"{function} (/")
        assert isinstance(error.__cause__, ValueError)

    def test_a_record_that_cannot_be_added_leaves_the_accumulator(self) -> None:
        """Also of a key that has none yet: the next record of the key starts a new one."""
        with OperatorHarness(Aggregate(FlakyMean(adding=3), parity, ErrorPolicy.skip())) as harness:
            assert harness.process([3]) == []
            assert list(harness.keyed_state.entries("accumulator")) == []
            out = harness.process_batch(Batch([1, 2, 3, 5], [10, 20, 30, 50], ORIGINS))
            assert (list(out), out.timestamps, harness.failed) == ([1.0, 2.0, 3.0], [10, 20, 50], 2)
            assert [origin.position for origin in out.origins or ()] == [10, 11, 13]

    def test_a_record_without_a_result_stays_added(self) -> None:
        """It is dead-lettered, since nobody downstream heard of it, but counts for those that follow."""
        mean = FlakyMean(concluding=2)
        with OperatorHarness(Aggregate(mean, parity, ErrorPolicy.dead_letter()), uid="means") as harness:
            out = harness.process_batch(Batch([1, 2, 4, 5], [10, 20, 40, 50], ORIGINS))
            assert (list(out), out.timestamps, harness.failed) == ([1.0, 3.0, 3.0], [10, 40, 50], 1)
            (letter,) = harness.side_output()
        assert (letter.value, letter.error, letter.origin) == (2, "ValueError: bad 2", Origin("orders", 11))
        assert letter.function == str(function_ref(mean.get_result))

    @pytest.mark.parametrize("flaky", [{"adding": 3}, {"concluding": 4}])
    @pytest.mark.parametrize("first", [True, False])
    def test_a_retry_repeats_the_one_call(self, flaky: dict[str, int], first: bool) -> None:
        """A record is added once, however often its result is asked for; a new key gets its accumulator."""
        values = [3, 1, 2] if first else [1, 3, 2]
        delay = timedelta(seconds=1)
        with OperatorHarness(
            Aggregate(FlakyMean(**flaky, failures=2), parity, ErrorPolicy.retry(2, delay))
        ) as harness:
            assert harness.process(values) == running_means(values, 2)
            assert harness.pauses == [delay] * 2
