"""Manifests: what the subtasks said at a barrier, written so that all of it can be put back."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Manifest, Part
from checkpoint.storage.base import History, StorageAttempt
from connectors import CollectionSource, CollectSink
from pipeline.api.job import StreamJob
from pipeline.core.counts import Counts
from pipeline.core.job import JobMode
from pipeline.graph.stream_graph import StreamGraph
from pipeline.runtime.manifests import Execution, ManifestWriter
from pipeline.runtime.recovery import handles_of
from pipeline.runtime.snapshot import (
    EncodedState,
    OperatorSnapshot,
    Participant,
    SinkSnapshot,
    SubtaskSnapshot,
)
from pipeline.testing.clock import ManualClock

POSITION = ("orders.csv", timedelta(seconds=3))
"""A position that JSON alone would not give back: a tuple, a duration."""


@dataclass
class FakeStorage:
    """Keeps what is written, and in which order."""

    number: int = 4
    history: History = field(default_factory=lambda: History((), 0, None))
    written: list[str] = field(default_factory=list[str])

    def write_manifest(self, manifest: Manifest) -> None:
        self.written.append(f"manifest {manifest.checkpoint_id}")

    def note(self, checkpoint_id: int) -> None:
        self.written.append(f"note {checkpoint_id}")

    def read_part(self, part: Part) -> io.BytesIO:
        return io.BytesIO(b"of " + part.name.encode())


def graph() -> StreamGraph:
    job = StreamJob("totals", mode=JobMode.SQL_TASK)
    stream = (
        job.source(CollectionSource([1]), uid="in").key_by(str).reduce(max, uid="sum").map(str, uid="text")
    )
    stream.sink(CollectSink(), uid="out")
    return job.stream_graph()


def execution(parallelism: int = 2) -> Execution:
    return Execution(graph(), "e1", "l1", 128, {"in": 1, "sum": parallelism, "out": parallelism})


SOURCE = SubtaskSnapshot(
    Participant("Source", 0), sources={"in": POSITION}, counts=Counts({"processed": 100})
)


def inner(subtask: int) -> SubtaskSnapshot:
    return SubtaskSnapshot(
        Participant("Reduce+Sink", subtask),
        operators=[OperatorSnapshot("sum", subtask, EncodedState(b""), {subtask})],
        parts=[Part(f"000000000007-sum-{subtask}", "sum", subtask, "digest", 0)],
        sinks=[SinkSnapshot("out", subtask, (subtask,), [("txn", subtask), ("txn", subtask, "new")])],
        counts=Counts({"failed": subtask + 1, "written:out": 10}),
    )


def write(
    storage: FakeStorage,
    *checkpoint_ids: int,
    snapshots: Sequence[SubtaskSnapshot] = (inner(1), SOURCE, inner(0)),
    restored: Manifest | None = None,
) -> list[Manifest]:
    """Write manifests and give them back as a later process reads them."""
    clock = ManualClock(start_ms=1_000)
    writer = ManifestWriter(cast("StorageAttempt", storage), execution(), restored, clock)
    manifests: list[Manifest] = []
    for checkpoint_id in checkpoint_ids:
        written = writer.write(checkpoint_id, CheckpointKind.PERIODIC, snapshots)
        manifests.append(Manifest.from_bytes(written.to_bytes(), "path"))
        clock.advance(timedelta(seconds=1))
    return manifests


class TestWriting:
    def test_it_is_stored_and_names_what_the_subtasks_have_stored(self) -> None:
        storage = FakeStorage()
        (manifest,) = write(storage, 7)
        assert storage.written == ["manifest 7"]
        assert [part.name for part in manifest.parts] == ["000000000007-sum-0", "000000000007-sum-1"]

    def test_it_says_what_and_who(self) -> None:
        (manifest,) = write(FakeStorage(), 7)
        assert (manifest.job, manifest.mode, manifest.kind) == ("totals", "SQL_TASK", CheckpointKind.PERIODIC)
        assert (manifest.execution_id, manifest.lineage, manifest.attempt) == ("e1", "l1", 4)
        assert manifest.created_ms == 1_000

    def test_stateful_operators_are_listed_with_kind_and_parallelism(self) -> None:
        """Steps keep nothing and are free to come and go."""
        (manifest,) = write(FakeStorage(), 7)
        assert manifest.graph == {
            "in": {"kind": "collection", "parallelism": 1, "max_parallelism": 128, "sources": ["in"]},
            "sum": {
                "kind": "reduce",
                "parallelism": 2,
                "max_parallelism": 128,
                "sources": ["in"],
                "windows": "",
            },
            "out": {"kind": "collect", "parallelism": 2, "max_parallelism": 128, "sources": ["in"]},
        }

    def test_subtasks_are_in_their_order_whichever_answered_first(self) -> None:
        """The place in the list is the subtask; eleven of them, since text would sort 10 before 2."""
        snapshots = [inner(subtask) for subtask in (10, 0, 9, 2, 1, 3, 8, 4, 7, 5, 6)]
        (manifest,) = write(FakeStorage(), 7, snapshots=snapshots)
        assert [handles_of(manifest, "out", subtask)[0] for subtask in range(11)] == [
            ("txn", subtask) for subtask in range(11)
        ]
        assert [part.subtask for part in manifest.parts] == list(range(11))

    def test_each_names_the_one_before_it(self) -> None:
        """The one restored from, at first."""
        first, second = write(FakeStorage(), 7, 9)
        assert (first.parent, second.parent) == (None, 7)
        (third,) = write(FakeStorage(), 12, restored=second)
        assert third.parent == 9

    def test_records_are_counted_on_from_what_was_restored(self) -> None:
        """Subtasks count what they did in this attempt; a later checkpoint of it does not count twice."""
        first, second = write(FakeStorage(), 7, 9)
        assert first.counters == second.counters == {"processed": 100, "failed": 3, "written:out": 20}
        (third,) = write(FakeStorage(), 12, restored=second)
        assert third.counters == {"processed": 200, "failed": 6, "written:out": 40}

    def test_sources_that_have_ended_are_listed(self) -> None:
        (manifest,) = write(FakeStorage(), 7)
        assert manifest.ended == ()
        ended = replace(SOURCE, input_ended=True)
        (manifest,) = write(FakeStorage(), 7, snapshots=(inner(0), ended, inner(1)))
        assert manifest.ended == ("in",)

    def test_an_operator_without_keyed_state_has_no_part(self) -> None:
        snapshot = SubtaskSnapshot(Participant("Process", 0), operators=[OperatorSnapshot("p", 0, None, [1])])
        (manifest,) = write(FakeStorage(), 7, snapshots=[snapshot])
        assert (manifest.parts, manifest.operator_state["p"]) == ((), [[1]])


def test_a_participant_reads_as_vertex_and_subtask() -> None:
    assert str(Participant("Source+Map", 1)) == "Source+Map/1"
