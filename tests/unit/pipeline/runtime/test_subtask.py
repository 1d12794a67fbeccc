"""HostedOperator: each subtask takes over its own part of the operator state, whatever number there were."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pipeline.core.records import Batch
from pipeline.runtime.contexts import RunningOperatorContext
from pipeline.runtime.subtask import HostedOperator
from pipeline.spi.operator import StreamOperator


class Remembering(StreamOperator[Any, Any]):
    """Writes down what it is to continue from."""

    def __init__(self, *, same: bool) -> None:
        self.same_in_all_subtasks = same
        self.states: list[Any] = []

    def process_batch(self, batch: Batch[Any], input_index: int) -> Batch[Any]:
        return batch

    def initialize_state(self, state: Any) -> None:
        self.states.append(state)


class Context:
    """The place of one subtask."""

    uid = "operator"

    def __init__(self, subtask: int) -> None:
        self.subtask = subtask


@pytest.mark.parametrize(
    ("same", "subtask", "states", "restored"),
    [
        (False, 0, ["a", "b"], ["a"]),
        (False, 1, ["a", "b"], ["b"]),
        (False, 2, ["a", "b"], []),  # one that is new begins with nothing: "a" is another's
        (False, 1, ["a", None], []),
        (False, 0, [], []),
        (True, 1, ["a", "a"], ["a"]),
        (True, 2, ["a", "a"], ["a"]),  # unless all have the same: windows would take late records for early
        (True, 3, ["a"], ["a"]),
        (True, 0, [], []),
        (True, 2, [None], []),
    ],
)
def test_operator_state_goes_to_the_subtask_it_came_from(
    same: bool, subtask: int, states: list[Any], restored: list[Any]
) -> None:
    operator = Remembering(same=same)
    HostedOperator(cast("RunningOperatorContext", Context(subtask)), operator, None).restore([], states)
    assert operator.states == restored
