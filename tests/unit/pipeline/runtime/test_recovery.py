"""Recovery: everything is put back to one instant, and what was decided is committed in between."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any, cast

from checkpoint.manifest import Manifest
from checkpoint.storage.base import History, StorageAttempt
from pipeline.runtime.commits import SinkCommits
from pipeline.runtime.recovery import Recovery, handles_of
from pipeline.runtime.snapshot import Participant, SinkSnapshot, SubtaskSnapshot
from pipeline.runtime.wiring import Wired

from .test_manifests import POSITION, FakeStorage, write


def recovery(manifest: Manifest, storage: FakeStorage, parts: Wired, calls: list[Any]) -> Recovery:
    commits = SimpleNamespace(commit=lambda checkpoint_id: calls.append(("commit", checkpoint_id)))
    return Recovery(manifest, cast("StorageAttempt", storage), parts, cast("SinkCommits", commits))


def read(state: Any) -> Any:
    """Take readers of parts for what they read."""
    if isinstance(state, list):
        return [each.read() if isinstance(each, io.BytesIO) else each for each in cast("list[Any]", state)]
    return state


class Restored(SimpleNamespace):
    """A source, operator or sink that notes what it is given."""

    calls: list[Any]

    @property
    def opened(self) -> Restored:
        return self

    def restore(self, *state: Any) -> None:
        self.calls.append((self.uid, self.subtask, *map(read, state)))

    def recover(self, checkpoint_id: int, handles: list[Any], logs: list[Any]) -> None:
        self.calls.append((self.uid, self.subtask, f"recover {checkpoint_id}", handles, logs))


def wired(calls: list[Any], subtasks: int, **uids: str) -> Wired:
    """The parts of an attempt, by the uids of source, operator and sink."""

    def part(uid: str, subtask: int) -> Restored:
        return Restored(uid=uid, subtask=subtask, ctx=SimpleNamespace(subtask=subtask), calls=calls)

    return cast(
        "Wired",
        SimpleNamespace(
            sources=[part(uids.get("source", "in"), 0)],
            operators=[part(uids.get("operator", "sum"), subtask) for subtask in range(subtasks)],
            sinks=[part(uids.get("sink", "out"), subtask) for subtask in range(subtasks)],
            buffers=[],
        ),
    )


class TestRestoring:
    def restore(self, subtasks: int, **uids: str) -> list[Any]:
        storage, calls = FakeStorage(), list[Any]()
        (manifest,) = write(storage, 7)
        recovery(manifest, storage, wired(calls, subtasks, **uids), calls).run()
        assert storage.written == ["manifest 7", "note 7"]
        return calls

    def test_everything_comes_back_as_it_was(self) -> None:
        """Positions, keyed state of all subtasks, each subtask's own state; sinks after the commit."""
        handles = [[("txn", subtask), ("txn", subtask, "new")] for subtask in (0, 1)]
        keyed = [b"of 000000000007-sum-0", b"of 000000000007-sum-1"]
        assert self.restore(subtasks=2) == [
            ("in", 0, POSITION),
            ("sum", 0, keyed, [{0}, {1}]),
            ("sum", 1, keyed, [{0}, {1}]),
            ("out", 0, "recover 7", handles[0], []),
            ("out", 1, "recover 7", handles[1], []),
            ("commit", 7),
            ("out", 0, (0,)),
            ("out", 1, (1,)),
        ]

    def test_what_is_noted_is_not_committed_again(self) -> None:
        """A sink whose proof of it is gone, as a topic's marks may be, would write it a second time."""
        storage, calls = FakeStorage(history=History((7,), noted=7, last=None)), list[Any]()
        (manifest,) = write(storage, 7)
        recovery(manifest, storage, wired(calls, 1), calls).run()
        assert calls == [
            ("in", 0, POSITION),
            ("sum", 0, [b"of 000000000007-sum-0", b"of 000000000007-sum-1"], [{0}, {1}]),
            ("out", 0, (0,)),
        ]
        assert storage.written == ["manifest 7"]

    def test_a_subtask_that_is_new_is_offered_the_same(self) -> None:
        keyed = [b"of 000000000007-sum-0", b"of 000000000007-sum-1"]
        assert self.restore(subtasks=3)[3] == ("sum", 2, keyed, [{0}, {1}])

    def test_what_the_manifest_does_not_know_begins_again(self) -> None:
        assert self.restore(1, source="new", operator="newer", sink="newest") == [
            ("newer", 0, [], []),
            ("newest", 0, "recover 7", [], []),
            ("commit", 7),
        ]

    def test_a_sink_that_stored_nothing_is_not_restored(self) -> None:
        storage, calls = FakeStorage(), list[Any]()
        empty = SubtaskSnapshot(Participant("Sink", 0), sinks=[SinkSnapshot("out", 0, None, [])])
        (manifest,) = write(storage, 7, snapshots=[empty])
        recovery(manifest, storage, wired(calls, 1), calls).restore_sinks()
        assert calls == []


def test_handles_come_back_oldest_first() -> None:
    (manifest,) = write(FakeStorage(), 7)
    assert handles_of(manifest, "out", 1) == [("txn", 1), ("txn", 1, "new")]
    assert handles_of(manifest, "out", 2) == handles_of(manifest, "other", 0) == []
