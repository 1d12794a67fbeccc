"""Every operator under whatever order of requests, records, ends, cancels and turns chance can think of.

`PIPELINE_SIMULATIONS` sets how many schedules each operator lives through; a failure names its seed and
what was played.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .kinds import KINDS
from .world import ACTIONS, Schedule, live, schedule

SEEDS = int(os.environ.get("PIPELINE_SIMULATIONS", "2000"))


@pytest.mark.timeout(120 + SEEDS // 20)
@pytest.mark.parametrize("name", KINDS)
def test_records_come_as_asked_for_and_each_is_accounted_for(name: str) -> None:
    """No more than wanted, in order, once; no stall, no recursion, no overfull buffer."""
    emitted = delivered = 0
    for seed in range(SEEDS):
        try:
            world = live(KINDS[name], schedule(random.Random(seed)))
        except Exception as error:
            error.add_note(f"reproduce with: live(KINDS[{name!r}], schedule(random.Random({seed})))")
            raise
        emitted += world.emitted
        delivered += len(world.delivered)
    assert emitted > SEEDS, "hardly anything was emitted: the schedules prove nothing"
    assert delivered > SEEDS // 2, "hardly anything was delivered: the schedules prove nothing"


def schedules() -> st.SearchStrategy[Schedule]:
    requests = {action for action in ACTIONS if action.endswith("request")}
    amounts = st.one_of(st.integers(1, 9), st.sampled_from([0, -1, 2**63 - 1, 2**63]))
    steps = st.one_of(
        st.tuples(st.sampled_from(sorted(requests)), amounts),
        st.tuples(st.sampled_from(sorted({*ACTIONS} - requests)), st.integers(1, 9)),
    )
    return st.lists(steps, max_size=25)


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=20, deadline=None)
@given(steps=schedules())
def test_what_breaks_is_made_small(name: str, steps: Schedule) -> None:
    """The same, driven by hypothesis: what the seeds find, it cuts down to a few steps."""
    live(KINDS[name], steps)
