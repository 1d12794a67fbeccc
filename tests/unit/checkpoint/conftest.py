"""A manifest to begin with."""

from dataclasses import replace

import pytest

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Manifest, Part

EXAMPLE = Manifest(
    job="carrier-report",
    mode="SQL_TASK",
    checkpoint_id=7,
    kind=CheckpointKind.PERIODIC,
    execution_id="x-1",
    lineage="l-1",
    attempt=3,
    parent=6,
    created_ms=1_700_000_000_000,
    source_state={
        "jdbc_query:flights": {"sql": "SELECT 1", "processed_rows": 70_000, "last": [1.5, None, "é", 2**80]}
    },
    operator_state={"reduce:merge": {"keys": 16}},
    sink_state={"file:out.csv": {"type": "file", "rows_written": 70_000}},
    committables={"file:out.csv": [[{"staged": "a"}, {"staged": "b"}], []]},
    graph={"reduce:merge": {"kind": "reduce", "parallelism": 1, "max_parallelism": 128}},
    parts=(Part("000000000007-3-1-reduce_merge-0", "reduce:merge", 0, "ab" * 32, 1234),),
    logs=(Part("000000000007-3-2-kafka_alerts-0", "kafka:alerts", 0, "cd" * 32, 500),),
    counters={"processed": 70_000, "failed": 2},
)


@pytest.fixture
def manifest_of():
    """Build a manifest that differs from the example in what is named."""

    def build(**changes) -> Manifest:
        return replace(EXAMPLE, **changes)

    return build
