"""What graph, compiler and runtime know of each operator: kind, label, functions, state, neighbours."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.policy import ErrorPolicy, SideTag
from pipeline.operators.aggregate import Aggregate
from pipeline.operators.base import Chaining, OperatorFactory, OperatorSpec, Step
from pipeline.operators.filter import Filter
from pipeline.operators.flat_map import FlatMap
from pipeline.operators.key_by import KeyBy
from pipeline.operators.map import Map
from pipeline.operators.map_batches import MapBatches
from pipeline.operators.reduce import Reduce
from pipeline.operators.union import Union
from pipeline.operators.window import AssignWindows
from pipeline.operators.window_aggregate import WindowAggregate
from pipeline.operators.window_operator import Windowing
from pipeline.operators.window_reduce import WindowReduce
from pipeline.windows.assigners import TumblingTimeWindows

from .conftest import Mean, add, parity

WINDOWS = TumblingTimeWindows.of(timedelta(minutes=5))
WINDOWING = Windowing(WINDOWS, parity)
MEAN = Mean()


@pytest.mark.parametrize(
    ("spec", "uid", "functions", "keeps_state"),
    [
        (Map(parity), "map:parity", [parity], False),
        (Filter(parity), "filter:parity", [parity], False),
        (FlatMap(parity), "flat_map:parity", [parity], False),
        (MapBatches(parity), "map_batches:parity", [parity], False),
        (KeyBy(parity), "key_by:parity", [parity], False),
        (Union(), "union:", [], False),
        (Reduce(add, parity), "reduce:add", [add], True),
        (Aggregate(MEAN, parity), "aggregate:Mean", [MEAN.add], True),
        (AssignWindows(WINDOWS, parity), "window:tumbling 5 min", [], False),
        (WindowReduce(WINDOWING, function=add), "reduce:add", [add], True),
        (WindowAggregate(WINDOWING, aggregate=MEAN), "aggregate:Mean", [MEAN.add], True),
    ],
)
def test_each_operator_says_what_it_is(
    spec: OperatorSpec, uid: str, functions: list[Any], keeps_state: bool
) -> None:
    """Kind and label make the default uid, under which state is found again: they must not change."""
    assert f"{spec.kind}:{spec.label}" == uid
    assert (list(spec.functions), spec.keeps_state) == (functions, keeps_state)
    assert spec.chaining is (Chaining.NEVER if isinstance(spec, KeyBy) else Chaining.ALWAYS)


@pytest.mark.parametrize(
    "wrap",
    [lambda mean: Aggregate(mean, parity), lambda mean: WindowAggregate(WINDOWING, aggregate=mean)],
)
def test_an_aggregate_is_named_by_its_own_class(wrap: Any) -> None:
    """Two of one family, with `add` inherited, do not share a uid; where they are defined does not matter."""

    class Median(Mean):
        pass

    assert wrap(Median()).label == "Median"


@pytest.mark.parametrize("cls", [Map, Filter, FlatMap, MapBatches])
def test_steps_fail_unless_told_otherwise(cls: type[Step]) -> None:
    assert cls(parity).on_error == ErrorPolicy.fail()
    assert cls(parity, ErrorPolicy.skip()).on_error == ErrorPolicy.skip()


def test_a_description_makes_a_running_part_for_each_subtask() -> None:
    """They share nothing but the user's functions."""
    specs: list[OperatorFactory] = [
        Reduce(add, parity),
        Aggregate(MEAN, parity),
        WindowReduce(WINDOWING, function=add),
        WindowAggregate(WINDOWING, aggregate=MEAN),
    ]
    for spec in specs:
        assert spec.create_operator() is not spec.create_operator()


def test_windows_are_described_by_their_assigner() -> None:
    assert AssignWindows(WINDOWS, parity).describe() == WINDOWS.describe() == "tumbling 5 min"


def test_a_fold_of_windows_says_what_becomes_of_late_records() -> None:
    late = replace(WINDOWING, lateness_ms=60_000, late=SideTag("late"))
    assert WindowReduce(WINDOWING, function=add).describe() == "late records counted"
    assert WindowReduce(late, function=add).describe() == "allowed lateness 1 min, late records to 'late'"
