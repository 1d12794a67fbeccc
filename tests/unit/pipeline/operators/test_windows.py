"""Windows: what fires when, what is late, what a policy does, what comes back."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.errors import EncodingError, GraphError, StateError, UserFunctionError
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy, SideTag
from pipeline.core.records import Batch, OriginRange
from pipeline.operators.window_aggregate import WindowAggregate
from pipeline.operators.window_operator import Windowing
from pipeline.operators.window_reduce import WindowReduce
from pipeline.operators.window_summary import LISTED
from pipeline.testing import ManualClock, OperatorHarness
from pipeline.windows.assigners import SlidingTimeWindows, TumblingTimeWindows, Window

from .conftest import Flaky, Mean, add, parity

TEN = TumblingTimeWindows(10)
LATE = SideTag[Any]("late")


def described(key: Any, window: Window, value: Any) -> tuple[Any, int, Any]:
    return key, window.start, value


def reducing(assigner: Any = TEN, *, function: Any = add, **settings: Any) -> WindowReduce:
    policy = settings.pop("on_error", ErrorPolicy())
    return WindowReduce(Windowing(assigner, parity, **settings), described, policy, function=function)


def test_a_window_fires_when_event_time_comes_to_its_last_instant() -> None:
    with OperatorHarness(reducing()) as harness:
        assert harness.process([1, 2, 3], [0, 9, 10]) == []
        assert harness.watermark(8) == []
        assert harness.watermark(9) == [(1, 0, 1), (0, 0, 2)]
        assert harness.watermark(9) == []
        assert harness.watermark(5) == [], "event time does not go back"
        assert harness.finish() == [(1, 10, 3)]


def test_results_carry_the_last_instant_of_their_window() -> None:
    with OperatorHarness(reducing()) as harness:
        harness.process([1, 2], [3, 13])
        fired = Batch.concat(harness._ctx.timers.finish(harness._operator.process_timers))
        assert list(zip(fired.values, fired.timestamps or (), strict=True)) == [
            ((1, 0, 1), 9),
            ((0, 10, 2), 19),
        ]


def test_without_a_window_function_the_result_is_what_was_folded() -> None:
    with OperatorHarness(WindowReduce(Windowing(TEN, parity), function=add)) as harness:
        harness.process([1, 3, 5], [0, 1, 11])
        assert harness.finish() == [4, 5]


def test_an_aggregate_emits_its_result_once() -> None:
    with OperatorHarness(WindowAggregate(Windowing(TEN, parity), described, aggregate=Mean())) as harness:
        harness.process([1, 3, 2], [0, 9, 5])
        harness.process([8], [5])
        assert harness.watermark(9) == [(1, 0, 2.0), (0, 0, 5.0)]


def test_a_record_of_sliding_windows_is_in_each_of_them() -> None:
    with OperatorHarness(reducing(SlidingTimeWindows(10, 4))) as harness:
        harness.process([1], [9])
        assert harness.finish() == [(1, 0, 1), (1, 4, 1), (1, 8, 1)]


def test_records_out_of_order_keep_their_order_within_a_window() -> None:
    with OperatorHarness(reducing(function=lambda first, second: f"{first}{second}")) as harness:
        harness.process([1, 11, 3, 13, 5], [9, 10, 8, 19, 0])
        assert harness.finish() == [(1, 0, "135"), (1, 10, "1113")]


class TestLate:
    def test_it_is_counted(self) -> None:
        with OperatorHarness(reducing()) as harness:
            harness.watermark(9)
            assert harness.process([1, 3], [9, 10]) == []
            assert (harness.late, harness.finish()) == (1, [(1, 10, 3)])

    def test_or_goes_to_the_side_output(self) -> None:
        with OperatorHarness(reducing(late=LATE)) as harness:
            harness.watermark(9)
            harness.process([1, 3, 5], [9, 10, 0])
            assert (harness.late, harness.side_output(LATE)) == (0, [1, 5])

    def test_one_of_several_windows_is_enough_to_be_in_time(self) -> None:
        with OperatorHarness(reducing(SlidingTimeWindows(10, 5), late=LATE)) as harness:
            harness.watermark(10)
            harness.process([1, 3], [7, 4])
            assert harness.side_output(LATE) == [3]
            assert harness.finish() == [(1, 5, 1)]

    def test_within_the_allowed_lateness_a_window_fires_again(self) -> None:
        """For each record; [0, 10) is kept until event time comes to 9 + 5."""
        with OperatorHarness(reducing(lateness_ms=5)) as harness:
            harness.process([1, 2], [0, 0])
            assert harness.watermark(13) == [(1, 0, 1), (0, 0, 2)]
            assert harness.process([3, 5], [9, 8]) == [(1, 0, 4), (1, 0, 9)]
            assert harness.watermark(14) == []
            assert harness.process([7], [9]) == []
            assert harness.late == 1
            assert list(harness.keyed_state.entries("windows")) == []

    def test_a_window_that_has_gone_costs_no_memory(self) -> None:
        with OperatorHarness(reducing()) as harness:
            for start in range(0, 1000, 10):
                harness.process([1], [start])
                harness.watermark(start + 9)
            assert harness.keyed_state.size_bytes() == 0


class TestProcessingTime:
    def test_records_have_the_time_of_the_clock(self) -> None:
        clock = ManualClock(start_ms=3)
        with OperatorHarness(reducing(), clock=clock, event_time=False) as harness:
            harness.process([1], [500])
            assert harness.next_timer == 10
            assert harness.watermark(10_000) == []
            clock.advance(timedelta(milliseconds=7))
            assert harness.process([3]) == [(1, 0, 1)], "what is due goes before"
            clock.advance(timedelta(milliseconds=10))
            assert harness.fire_timers() == [(1, 10, 3)]
            assert harness.next_timer is None

    def test_a_clock_that_goes_back_makes_nothing_late_and_nothing_fire_twice(self) -> None:
        """FAULTS: a clock jump."""
        clock = ManualClock(start_ms=15)
        with OperatorHarness(reducing(), clock=clock, event_time=False) as harness:
            harness.process([1])
            clock.advance(timedelta(milliseconds=5))
            assert harness.fire_timers() == [(1, 10, 1)]
            clock.advance(timedelta(milliseconds=-10))
            assert harness.process([3]) == []
            assert (harness.late, harness.finish()) == (0, [(1, 20, 3)])

    def test_event_time_needs_no_timer(self) -> None:
        with OperatorHarness(reducing()) as harness:
            harness.process([1], [5])
            assert (harness.next_timer, harness.fire_timers()) == (None, [])


class TestErrors:
    def test_a_record_whose_fold_raises_goes_by_the_policy_and_leaves_the_window_as_it_was(self) -> None:
        flaky = reducing(function=Flaky(add, 3), on_error=ErrorPolicy.dead_letter())
        with OperatorHarness(flaky, uid="sum") as harness:
            harness.process([1, 3, 5], [0, 1, 2], OriginRange("f", 7, 3))
            (letter,) = harness.side_output(DEAD_LETTERS)
            assert (letter.value, letter.operator, str(letter.origin)) == (3, "sum", "f@8")
            assert harness.finish() == [(1, 0, 6)]

    def test_a_late_record_that_cannot_be_folded_fires_nothing(self) -> None:
        flaky = reducing(function=Flaky(add, 3), on_error=ErrorPolicy.skip(), lateness_ms=10)
        with OperatorHarness(flaky) as harness:
            harness.process([1], [0])
            harness.watermark(9)
            assert harness.process([3, 5], [0, 0]) == [(1, 0, 6)]
            assert harness.failed == 1

    def test_an_aggregate_is_repeated_from_what_it_had(self) -> None:
        windowing = Windowing(TEN, parity)
        spec = WindowAggregate(windowing, described, ErrorPolicy.retry(2), aggregate=_Counting())
        with OperatorHarness(spec) as harness:
            harness.process([1, 3], [0, 1])
            assert harness.finish() == [(1, 0, 4)]
            assert len(harness.pauses) == 2

    def test_a_result_that_cannot_be_made_leaves_the_others(self) -> None:
        spec = WindowAggregate(
            Windowing(TEN, parity), described, ErrorPolicy.skip(), aggregate=_Unpresentable()
        )
        with OperatorHarness(spec) as harness:
            harness.process([1, 2], [0, 0])
            assert harness.finish() == [(0, 0, 2)]
            assert harness.failed == 1

    def test_failing_names_the_function(self) -> None:
        spec = WindowAggregate(Windowing(TEN, parity), aggregate=_Unpresentable())
        with OperatorHarness(spec, uid="sum") as harness:
            harness.process([1], [0])
            with pytest.raises(UserFunctionError, match="get_result raised ValueError: odd") as failed:
                harness.finish()
            assert failed.value.operator == "sum"

    def test_a_window_function_that_raises_goes_by_the_policy(self) -> None:
        spec = WindowReduce(Windowing(TEN, parity), Flaky(described, 1), ErrorPolicy.skip(), function=add)
        with OperatorHarness(spec) as harness:
            harness.process([1, 2], [0, 0])
            assert (harness.finish(), harness.failed) == ([(0, 0, 2)], 1)

    def test_a_record_without_a_key_goes_by_the_policy(self) -> None:
        spec = WindowReduce(Windowing(TEN, Flaky(parity, 3)), described, ErrorPolicy.skip(), function=add)
        with OperatorHarness(spec) as harness:
            harness.process([1, 3, 5], [0, 10, 20])
            assert (harness.finish(), harness.failed) == ([(1, 0, 1), (1, 20, 5)], 1)

    def test_records_without_time_are_refused(self) -> None:
        with (
            OperatorHarness(reducing(), uid="sum") as harness,
            pytest.raises(GraphError, match="without event"),
        ):
            harness.process([1])

    def test_what_cannot_be_a_key_is_refused(self) -> None:
        spec = WindowReduce(Windowing(TEN, float), function=add)
        with OperatorHarness(spec, uid="sum") as harness, pytest.raises(StateError) as refused:
            harness.process([1], [0])
        assert refused.value.operator == "sum"

    def test_what_cannot_be_stored_is_refused_with_the_first_record(self) -> None:
        """And not at the first checkpoint."""
        spec = WindowReduce(Windowing(TEN, lambda _: 1), function=add)
        with OperatorHarness(spec) as harness, pytest.raises(EncodingError, match="_Plain"):
            harness.process([_Plain()], [0])


class TestSnapshots:
    def test_what_is_open_comes_back_and_what_was_late_still_is(self) -> None:
        """FLINK-36663: a watermark that is not restored makes output twice."""
        with OperatorHarness(reducing(lateness_ms=5)) as first:
            first.process([1, 2, 11], [5, 5, 15])
            assert first.watermark(10) == [(1, 0, 1), (0, 0, 2)]
            snapshot = first.snapshot()
        with OperatorHarness(reducing(lateness_ms=5), restore=snapshot) as again:
            assert again.watermark(10) == []
            assert again.process([3], [6]) == [(1, 0, 4)]
            assert again.watermark(14) == []
            assert again.process([5], [6]) == []
            assert (again.late, again.finish()) == (1, [(1, 10, 11)])

    def test_a_subtask_that_is_new_knows_what_has_fired(self) -> None:
        spec = WindowReduce(Windowing(TEN, int, 100), described, function=operator.add)
        with OperatorHarness(spec) as first:
            first.process(list(range(50)), [5] * 50)
            first.watermark(10)
            snapshot = first.snapshot()
        for subtask in range(3):
            with OperatorHarness(spec, restore=snapshot, subtask=subtask, parallelism=3) as again:
                assert len(dict(again.keyed_state.entries("windows"))) > 0
                assert again.watermark(11) == again.finish() == []

    def test_people_can_read_the_first_of_what_windows_hold(self) -> None:
        spec = WindowReduce(Windowing(TEN, int), function=operator.add)
        with OperatorHarness(spec) as harness:
            harness.process(list(range(LISTED + 50)), [5] * (LISTED + 50))
            harness.watermark(3)
            state = harness._operator.snapshot_state()
        assert (state["watermark"], state["entries"], len(state["windows"])) == (3, LISTED + 50, LISTED)
        assert state["windows"][7] == {"key": 7, "start": 0, "end": 10, "accumulator": 7}


@dataclass
class _Plain:
    value: int = 1


class _Counting:
    """Adds up; fails twice on 3 before it changes anything."""

    def __init__(self) -> None:
        self.left = 2

    def create_accumulator(self) -> int:
        return 0

    def add(self, value: int, accumulator: int) -> int:
        if value == 3 and self.left:
            self.left -= 1
            raise ValueError("not yet")
        return accumulator + value

    def get_result(self, accumulator: int) -> int:
        return accumulator

    def merge(self, first: int, second: int) -> int:
        return first + second


class _Unpresentable(_Counting):
    def __init__(self) -> None:
        self.left = 0

    def get_result(self, accumulator: int) -> int:
        if accumulator % 2:
            raise ValueError("odd")
        return accumulator
