"""Each rule of fusing on its own: what it forbids, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.core.config import BackpressureStrategy
from pipeline.core.policy import SideTag
from pipeline.graph.buffers import Buffer
from pipeline.graph.chaining import RULES, Link, why_not_fused
from pipeline.operators.base import Chaining, Partitioning
from pipeline.operators.key_by import KeyBy
from pipeline.operators.map import Map

from .conftest import FakeSink, FakeSource, Graph, parse


def link(**changes: Any) -> Link:
    """Two maps side by side, which nothing keeps apart."""
    graph = Graph()
    graph.line(FakeSource(), Map(parse), Map(parse), FakeSink())
    stream = graph.stream()
    edge = stream.edges[1]
    plain = Link(edge, stream.nodes[1], stream.nodes[2], 1, 1, 1, 1)
    return replace(plain, **changes)


def test_neighbours_fuse_when_every_rule_agrees() -> None:
    assert why_not_fused(link()) is None


EDGE = link().edge
UP, DOWN = link().upstream, link().downstream


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"edge": replace(EDGE, side_tag=SideTag("late"))}, "side output 'late'"),
        ({"downstream": replace(DOWN, definition=KeyBy(str))}, "vertex of its own"),
        ({"edge": replace(EDGE, partitioning=Partitioning.HASH)}, "exchanged by hash"),
        ({"edge": replace(EDGE, partitioning=Partitioning.BROADCAST)}, "exchanged by broadcast"),
        ({"downstream_inputs": 2}, "has 2 inputs"),
        ({"upstream_outputs": 2}, "has 2 outputs"),
        ({"downstream_parallelism": 4}, "from 1 to 4"),
        ({"upstream": replace(UP, chaining=Chaining.NEVER)}, "kept out of chains"),
        ({"downstream": replace(DOWN, chaining=Chaining.HEAD)}, "starts a new chain"),
        ({"downstream": replace(DOWN, chaining=Chaining.NEVER)}, "kept out of chains"),
        (
            {"buffer": Buffer("backpressure:source", BackpressureStrategy.DROP, 10, of_job=True)},
            "DROP buffer is directly downstream of its source",
        ),
    ],
)
def test_each_rule_forbids_alone(changes: dict[str, Any], reason: str) -> None:
    """One rule that says no is enough, and `explain` can say which."""
    told = [said for rule in RULES if (said := rule(link(**changes))) is not None]
    assert len(told) == 1
    assert reason in told[0]
    assert why_not_fused(link(**changes)) == told[0]


def test_the_head_of_a_chain_may_be_followed() -> None:
    """HEAD looks upstream only (Flink's ChainingStrategy)."""
    assert why_not_fused(link(upstream=replace(UP, chaining=Chaining.HEAD))) is None


def test_a_buffer_of_the_user_is_not_a_reason_of_its_own() -> None:
    """Its operator starts a chain, which says so already."""
    assert why_not_fused(link(buffer=Buffer("mine", BackpressureStrategy.DROP, 10))) is None
