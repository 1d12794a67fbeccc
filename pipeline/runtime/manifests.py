"""From the snapshots of all subtasks to the manifest that decides their checkpoint."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Manifest, Part
from checkpoint.storage.base import StorageAttempt
from pipeline.core.clock import Clock
from pipeline.core.counts import Counts
from pipeline.graph.stream_graph import StreamGraph
from pipeline.operators.base import BUFFER_KIND
from pipeline.runtime.snapshot import SubtaskSnapshot
from state.encoding import to_json


@dataclass(frozen=True, slots=True)
class Execution:
    """What all attempts of one execution share.

    Args:
        graph: the job as written.
        max_parallelism: key groups.
        lanes: of each buffer with a strategy, how many queues it is.
    """

    graph: StreamGraph
    execution_id: str
    lineage: str
    max_parallelism: int
    parallelism: Mapping[str, int]
    lanes: Mapping[str, int] = field(default_factory=dict[str, int])

    def describe_graph(self) -> dict[str, dict[str, Any]]:
        """Say which uids a checkpoint of this job speaks of, and whose records each of them has stored."""
        graph, limit = self.graph, self.max_parallelism
        described: dict[str, dict[str, Any]] = {
            node.uid: {
                "kind": node.kind,
                "parallelism": self.parallelism[node.uid],
                "max_parallelism": limit,
                "sources": [source.uid for source in graph.upstream_sources(node.id)],
                **({"windows": graph.windows_of(node)} if node.spec is not None else {}),
            }
            for node in graph.nodes
            if node.keeps_state
        }
        for uid, lanes in self.lanes.items():
            described[uid] = {"kind": BUFFER_KIND, "parallelism": lanes, "max_parallelism": limit}
        return described


class ManifestWriter:
    """Creates the manifest that decides what the subtasks said at a barrier.

    Args:
        storage: this attempt's.
        execution: which execution it is.
        restored: the checkpoint this attempt started from.
    """

    def __init__(
        self, storage: StorageAttempt, execution: Execution, restored: Manifest | None, clock: Clock
    ) -> None:
        self._storage = storage
        self._execution = execution
        self._parent = None if restored is None else restored.checkpoint_id
        self._base = Counts() if restored is None else Counts(restored.counters)
        self._clock = clock

    def write(
        self, checkpoint_id: int, kind: CheckpointKind, snapshots: Iterable[SubtaskSnapshot]
    ) -> Manifest:
        """Write the manifest; when this returns, the epoch is decided."""
        taken = sorted(snapshots, key=lambda snapshot: snapshot.participant)
        parts: list[Part] = []
        operators: dict[str, list[Any]] = defaultdict(list)
        sinks: dict[str, list[Any]] = defaultdict(list)
        committables: dict[str, list[list[Any]]] = defaultdict(list)
        logs: list[Part] = []
        sources: dict[str, Any] = {}
        for snapshot in taken:
            parts.extend(snapshot.parts)
            sources.update({uid: to_json(position) for uid, position in snapshot.sources.items()})
            for operator in snapshot.operators:
                operators[operator.uid].append(to_json(operator.state))
            for sink in snapshot.sinks:
                sinks[sink.uid].append(to_json(sink.state))
                committables[sink.uid].append([to_json(handle) for handle in sink.handles])
                logs.extend(sink.logs)
        execution = self._execution
        counts = sum((snapshot.counts for snapshot in taken), self._base)
        manifest = Manifest(
            job=execution.graph.job,
            mode=execution.graph.mode.value,
            checkpoint_id=checkpoint_id,
            kind=kind,
            execution_id=execution.execution_id,
            lineage=execution.lineage,
            attempt=self._storage.number,
            parent=self._parent,
            created_ms=self._clock.now_ms(),
            source_state=sources,
            operator_state=operators,
            sink_state=sinks,
            committables=committables,
            graph=execution.describe_graph(),
            parts=parts,
            logs=logs,
            counters=counts.by_name,
            ended=[uid for snapshot in taken if snapshot.input_ended for uid in snapshot.sources],
        )
        self._storage.write_manifest(manifest)
        self._parent = checkpoint_id
        return manifest
