"""From the snapshots of all subtasks to a manifest, and from a manifest back into the subtasks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Manifest, Part
from checkpoint.storage.base import PartReader, StorageAttempt
from pipeline.core.clock import Clock
from pipeline.core.faults import faultpoint
from pipeline.graph.stream_graph import StreamGraph
from pipeline.operators.backpressure import Backpressure
from pipeline.runtime.counts import Counts
from pipeline.runtime.snapshot import SubtaskSnapshot
from pipeline.runtime.wiring import Wired
from state.encoding import from_json, to_json


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
            }
            for node in graph.nodes
            if node.keeps_state
        }
        for uid, lanes in self.lanes.items():
            described[uid] = {"kind": Backpressure.kind, "parallelism": lanes, "max_parallelism": limit}
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
        self._base = Counts.of(restored)
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
            processed=counts.processed,
            failed=counts.failed,
            late=counts.late,
            written=counts.written,
        )
        self._storage.write_manifest(manifest)
        self._parent = checkpoint_id
        return manifest


class Restorer:
    """Puts the parts of an attempt back to the instant of a manifest.

    Args:
        manifest: a verified one.
        storage: reads its parts.
        wired: the opened subtasks.
    """

    def __init__(self, manifest: Manifest, storage: StorageAttempt, wired: Wired) -> None:
        self._manifest = manifest
        self._storage = storage
        self._wired = wired

    def restore_sources_and_operators(self) -> None:
        """Restore positions, then operator state."""
        manifest = self._manifest
        for source in self._wired.sources:
            if source.uid in manifest.source_state:
                source.restore(from_json(manifest.source_state[source.uid]))
                for time in manifest.operator_state.get(source.uid, ()):
                    source.restore_time(from_json(time))
                faultpoint("P16a")
        for operator in self._wired.operators:
            states: Sequence[Any] = manifest.operator_state.get(operator.uid, ())
            with ExitStack() as opened:
                keyed = [self._open(part, opened) for part in manifest.parts if part.uid == operator.uid]
                operator.restore(keyed, [from_json(state) for state in states])
            faultpoint("P16a")
        self.restore_buffers()

    def restore_buffers(self) -> None:
        """Restore what the buffers held, and how much they had dropped."""
        for buffer in self._wired.buffers:
            states: Sequence[Any] = self._manifest.operator_state.get(buffer.uid, ())
            if buffer.lane >= len(states):
                continue
            parts = [
                part
                for part in self._manifest.parts
                if part.uid == buffer.uid and part.subtask == buffer.lane
            ]
            with ExitStack() as opened:
                held = self._open(parts[0], opened) if parts else None
                buffer.restore(held, from_json(states[buffer.lane])["dropped"])
            faultpoint("P16a")

    def restore_sinks(self) -> None:
        """Restore what the sinks had written."""
        for sink in self._wired.sinks:
            states: Sequence[Any] = self._manifest.sink_state.get(sink.uid, ())
            if sink.subtask < len(states) and states[sink.subtask] is not None:
                sink.restore(from_json(states[sink.subtask]))
            faultpoint("P16a")

    def _open(self, part: Part, opened: ExitStack) -> PartReader:
        return opened.enter_context(closing(self._storage.read_part(part)))


def handles_of(manifest: Manifest, uid: str, subtask: int) -> list[Any]:
    """Decode the transaction handles that a manifest lists for one subtask of a sink."""
    listed = manifest.committables.get(uid, ())
    return [from_json(handle) for handle in listed[subtask]] if subtask < len(listed) else []


def logs_of(manifest: Manifest, uid: str, subtask: int) -> list[Part]:
    """List the epoch logs of one subtask of a sink."""
    return [part for part in manifest.logs if (part.uid, part.subtask) == (uid, subtask)]
