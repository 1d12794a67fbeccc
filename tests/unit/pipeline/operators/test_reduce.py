"""reduce: a running result per key, kept through snapshots and rescaling, exact in what it drops."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import EncodingError, StateError, UserFunctionError
from pipeline.core.functions import function_ref
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy, SideTag
from pipeline.core.records import Batch, DeadLetter, Origin, OriginRange
from pipeline.operators.reduce import Reduce
from pipeline.testing.harness import OperatorHarness
from state.keys import groups_of, key_group

from .conftest import Flaky, add, parity

MAX_PARALLELISM = 128


def running_sums(values: Sequence[int], modulus: int) -> list[int]:
    """The running sum by remainder, written by hand."""
    sums: dict[int, int] = {}
    results: list[int] = []
    for value in values:
        sums[value % modulus] = sums.get(value % modulus, 0) + value
        results.append(sums[value % modulus])
    return results


def test_each_record_emits_the_result_so_far() -> None:
    """A key's first record is its first result."""
    with OperatorHarness(Reduce(add, parity)) as harness:
        assert harness.process([1, 2, 3, 4]) == [1, 2, 4, 6]
        assert harness.process([]) == []
        assert harness.process([5]) == [9]


def test_the_result_so_far_is_the_first_argument() -> None:
    with OperatorHarness(Reduce(operator.sub, lambda _: "k")) as harness:
        assert harness.process([10, 1, 2]) == [10, 9, 7]


def test_a_falsy_result_is_a_result() -> None:
    """None, 0 and "" are values like others, not the absence of one."""
    with OperatorHarness(Reduce(lambda known, _: [known], lambda _: "k")) as harness:
        assert harness.process([None, 1]) == [None, [None]]
    with OperatorHarness(Reduce(add, lambda _: "k")) as harness:
        assert harness.process([1, -1, 5]) == [1, 0, 5]


def test_keys_that_python_confuses_are_kept_apart() -> None:
    """1 and True are two keys, within a batch and across batches."""
    with OperatorHarness(Reduce(lambda known, value: known, lambda value: value)) as harness:
        assert harness.process([1, True, 1, True]) == [1, True, 1, True]
        assert [type(value) for value in harness.process([True, 1])] == [bool, int]


@pytest.mark.parametrize("many", [False, True])
@given(
    keys=st.lists(st.sampled_from([1, True, "1", b"1", 0, False, (1, "a"), (True, "a"), ((1,),), ((True,),)]))
)
def test_keys_of_many_types_in_any_order(many: bool, keys: list[Any]) -> None:
    """The fold goes from one way of finding a key's place to another and back, in any batch."""
    counted: dict[tuple[type, str], int] = {}
    expected: list[int] = []
    for key in keys:
        counted[type(key), repr(key)] = counted.get((type(key), repr(key)), 0) + 1
        expected.append(counted[type(key), repr(key)])
    with OperatorHarness(
        Reduce(lambda one, other: (one[0], one[1] + other[1]), lambda pair: pair[0])
    ) as harness:
        pairs = [(key, 1) for key in keys]
        results = (
            harness.process(pairs) if many else [each for pair in pairs for each in harness.process([pair])]
        )
    assert [count for _, count in results] == expected


def test_a_result_carries_timestamp_and_origin_of_its_record() -> None:
    with OperatorHarness(Reduce(add, parity)) as harness:
        out = harness.process_batch(Batch([1, 2], [100, 200], OriginRange("f", 7, 2)))
    assert (out.timestamps, list(out.origins or ())) == ([100, 200], [Origin("f", 7), Origin("f", 8)])


@given(st.lists(st.lists(st.integers(-9, 9), max_size=6), max_size=6), st.integers(1, 4))
def test_batching_makes_no_difference(batches: list[list[int]], modulus: int) -> None:
    with OperatorHarness(Reduce(add, lambda value: value % modulus)) as harness:
        out = [result for batch in batches for result in harness.process(batch)]
    assert out == running_sums([value for batch in batches for value in batch], modulus)


class TestSnapshots:
    def test_a_restored_one_continues_where_the_snapshot_was_taken(self) -> None:
        """Nothing that came after it is remembered."""
        with OperatorHarness(Reduce(add, parity)) as harness:
            harness.process([1, 2])
            snapshot = harness.snapshot()
            harness.process([100, 101])
        with OperatorHarness(Reduce(add, parity), restore=snapshot) as harness:
            assert harness.process([3, 4]) == [4, 6]

    def test_a_snapshot_does_not_change_what_continues(self) -> None:
        with OperatorHarness(Reduce(add, parity)) as harness:
            harness.process([1])
            assert harness.snapshot() == harness.snapshot()
            assert harness.process([3]) == [4]

    def test_declared_classes_come_back(self) -> None:
        with OperatorHarness(Reduce(Total.plus, lambda _: "k", value_type=Total)) as harness:
            harness.process([Total(1), Total(2)])
            snapshot = harness.snapshot()
        with OperatorHarness(
            Reduce(Total.plus, lambda _: "k", value_type=Total), restore=snapshot
        ) as harness:
            assert harness.process([Total(4)]) == [Total(7)]

    @given(st.lists(st.integers(-99, 99), max_size=60), st.integers(0, 60), st.integers(2, 5))
    def test_state_follows_its_keys_to_more_subtasks_and_back(
        self, values: list[int], cut: int, parallelism: int
    ) -> None:
        """From 1 to N subtasks and back to 1: the results are those of an undisturbed run."""
        spec = Reduce(add, lambda value: value % 7)
        first, middle, last = values[: cut // 2], values[cut // 2 : cut], values[cut:]
        expected = running_sums(values, 7)
        with OperatorHarness(spec) as harness:
            assert harness.process(first) == expected[: len(first)]
            snapshot = harness.snapshot()
        snapshots: list[Any] = []
        spread: dict[int, int] = {}
        for subtask in range(parallelism):
            groups = groups_of(subtask, parallelism, MAX_PARALLELISM)
            mine = [i for i, value in enumerate(middle) if key_group(value % 7, MAX_PARALLELISM) in groups]
            with OperatorHarness(spec, restore=snapshot, subtask=subtask, parallelism=parallelism) as harness:
                spread.update(zip(mine, harness.process([middle[i] for i in mine]), strict=True))
                snapshots.append(harness.snapshot())
        assert [spread[i] for i in range(len(middle))] == expected[len(first) : len(first) + len(middle)]
        with OperatorHarness(spec, restore=snapshots) as harness:
            assert harness.process(last) == expected[len(first) + len(middle) :]


@dataclass(frozen=True)
class Total:
    amount: int

    @staticmethod
    def plus(known: Total, value: Total) -> Total:
        return Total(known.amount + value.amount)


ORIGINS = OriginRange("orders", 10, 4)
"""Of the records 1, 2, 3, 5 in the tests below, of which 3 cannot be handled."""
BAD = Origin("orders", 12)


class TestErrors:
    @pytest.mark.parametrize("selecting", [False, True])
    def test_it_fails_naming_all_that_is_known(self, selecting: bool) -> None:
        """Operator, function with file and line, record, and what the function raised as the cause."""
        flaky = Flaky(parity if selecting else add, 3)
        spec = Reduce(add, flaky) if selecting else Reduce(flaky, parity)
        with (
            OperatorHarness(spec, uid="sums") as harness,
            pytest.raises(UserFunctionError, match="Flaky raised ValueError: bad 3") as raised,
        ):
            harness.process([1, 2, 3, 5], origins=ORIGINS)
        error = raised.value
        assert (error.job, error.operator, error.position) == ("harness", "sums", str(BAD))
        assert error.function == str(function_ref(flaky))
        assert "operators/conftest.py:" in str(error.function)
        assert isinstance(error.__cause__, ValueError)

    @pytest.mark.parametrize("selecting", [False, True])
    def test_skipping_keeps_the_rest_aligned(self, selecting: bool) -> None:
        """The key's result stays as it was; results, timestamps and origins belong together."""
        skip = ErrorPolicy.skip()
        spec = Reduce(add, Flaky(parity, 3), skip) if selecting else Reduce(Flaky(add, 3), parity, skip)
        with OperatorHarness(spec) as harness:
            out = harness.process_batch(Batch([1, 2, 3, 5], [10, 20, 30, 50], ORIGINS))
            assert (list(out), out.timestamps) == ([1, 2, 6], [10, 20, 50])
            assert [origin.position for origin in out.origins or ()] == [10, 11, 13]
            assert harness.failed == 1
            assert harness.process([7]) == [13]

    def test_both_functions_may_fail_in_one_batch(self) -> None:
        """A record without a key and one that cannot be folded: each is dropped at its own place."""
        spec = Reduce(Flaky(add, 5), Flaky(parity, 2), ErrorPolicy.dead_letter())
        with OperatorHarness(spec, uid="sums") as harness:
            out = harness.process_batch(Batch([1, 2, 3, 5, 7], list(range(5)), OriginRange("f", 0, 5)))
            assert (list(out), out.timestamps) == ([1, 4, 11], [0, 2, 4])
            letters = harness.side_output()
        assert [(letter.value, letter.origin) for letter in letters] == [
            (2, Origin("f", 1)),
            (5, Origin("f", 3)),
        ]

    def test_a_dead_letter_holds_what_is_needed_to_fix_it(self) -> None:
        rejected: SideTag[DeadLetter] = SideTag("rejected")
        flaky = Flaky(add, 3)
        with OperatorHarness(Reduce(flaky, parity, ErrorPolicy.dead_letter(rejected)), uid="sums") as harness:
            harness.process([1, 2, 3, 5], origins=ORIGINS)
            assert harness.side_output(DEAD_LETTERS) == []
            assert harness.side_output(rejected) == [
                DeadLetter(3, "ValueError: bad 3", "sums", str(function_ref(flaky)), BAD)
            ]
            assert harness.failed == 1

    def test_a_retry_repeats_the_call_after_its_pause(self) -> None:
        delay = timedelta(seconds=3)
        policy = ErrorPolicy.retry(2, delay)
        for selecting in (False, True):
            flaky = Flaky(parity if selecting else add, 3, failures=2)
            spec = Reduce(add, flaky, policy) if selecting else Reduce(flaky, parity, policy)
            with OperatorHarness(spec) as harness:
                assert harness.process([1, 2, 3, 5]) == [1, 2, 4, 9]
                assert (harness.pauses, harness.failed) == ([delay] * 2, 0)

    def test_the_last_failure_is_the_one_that_is_reported(self) -> None:
        """After the last repetition the policy's end follows, with the newest error."""
        count = iter(range(1, 10))

        def worse(known: int, value: int) -> int:
            raise ValueError(f"try {next(count)}")

        with (
            OperatorHarness(Reduce(worse, lambda _: "k", ErrorPolicy.retry(2))) as harness,
            pytest.raises(UserFunctionError, match="try 3") as raised,
        ):
            harness.process([1, 2])
        assert str(raised.value.__cause__) == "try 3"

    @pytest.mark.parametrize("key", [None, 1.5, [1], ("a", None)])
    def test_what_cannot_be_a_key_is_refused_by_name(self, key: Any) -> None:
        """The error names the operator and the selector that returned it, with file and line."""

        def customer(value: Any) -> Any:
            return key

        with (
            OperatorHarness(Reduce(add, customer), uid="sums") as harness,
            pytest.raises(StateError, match="a key is a str, int, bytes, bool or a tuple") as raised,
        ):
            harness.process([1])
        assert (raised.value.operator, raised.value.function) == ("sums", str(function_ref(customer)))

    def test_a_result_that_cannot_be_stored_is_refused_at_once(self) -> None:
        """Not only at the next checkpoint; the named record is the one that produced it."""
        selector = Flaky(lambda _: "k", 2)
        with (
            OperatorHarness(Reduce(add, selector, ErrorPolicy.skip()), uid="sums") as harness,
            pytest.raises(EncodingError) as raised,
        ):
            harness.process([2, object()], origins=OriginRange("f", 0, 2))
        assert (raised.value.operator, raised.value.position) == ("sums", "f@1")
