"""The thread that stores state while records flow on: what is acknowledged, declined, released."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import pytest

from checkpoint.manifest import Part
from checkpoint.storage.base import StorageAttempt
from pipeline.core.errors import CheckpointError, Fenced
from pipeline.runtime.events import Acknowledged, Declined, SubtaskFailed, TaskEvent
from pipeline.runtime.part_thread import PartThread
from pipeline.runtime.snapshot import OperatorSnapshot, Participant, SubtaskSnapshot
from state.backend import Writable

PATIENCE = 30  # seconds after which a test that waits has failed


@dataclass
class FakeState:
    """State that is written in pieces, each when the test lets it."""

    pieces: list[bytes]
    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def write(self, part: Writable) -> None:
        self.begun.set()
        for piece in self.pieces:
            assert self.go_on.wait(PATIENCE)
            part.write(piece)

    def release(self) -> None:
        assert not self.released.is_set()
        self.released.set()


def state(*pieces: bytes, held: bool = False) -> FakeState:
    made = FakeState(list(pieces))
    if not held:
        made.go_on.set()
    return made


@dataclass
class FakePart:
    storage: FakeStorage
    uid: str
    subtask: int
    data: bytes = b""

    def write(self, data: bytes, /) -> None:
        self.data += data

    def seal(self, checkpoint_id: int) -> Part:
        if self.storage.error is not None:
            raise self.storage.error
        self.storage.sealed.append((checkpoint_id, self.uid, self.subtask, self.data))
        return Part(f"{self.uid}-{self.subtask}", self.uid, self.subtask, "", len(self.data))

    def discard(self) -> None:
        self.storage.discarded.append((self.uid, self.subtask))


@dataclass
class FakeStorage:
    """Keeps what is sealed; refuses it with `error`."""

    error: Exception | None = None
    sealed: list[tuple[int, str, int, bytes]] = field(default_factory=list[Any])
    discarded: list[tuple[str, int]] = field(default_factory=list[Any])

    def open_part(self, uid: str, subtask: int) -> FakePart:
        return FakePart(self, uid, subtask)


class Bench:
    """A part thread, its storage, and the job's mailbox."""

    def __init__(self, error: Exception | None = None) -> None:
        self.storage = FakeStorage(error)
        self.events: queue.SimpleQueue[TaskEvent] = queue.SimpleQueue()
        self.parts = PartThread(cast("StorageAttempt", self.storage), self.events.put, "job/parts")

    def put(self, checkpoint_id: int, subtask: int, **states: FakeState | None) -> SubtaskSnapshot:
        snapshot = SubtaskSnapshot(
            Participant("v", subtask),
            operators=[OperatorSnapshot(uid, subtask, keyed, None) for uid, keyed in states.items()],
        )
        self.parts.put(checkpoint_id, snapshot)
        return snapshot

    def event(self) -> TaskEvent:
        return self.events.get(timeout=PATIENCE)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.parts.stop()
    assert made.parts.join(timedelta(seconds=PATIENCE))


def test_a_snapshot_is_acknowledged_once_all_its_parts_are_stored(bench: Bench) -> None:
    """In the order of its operators; those without keyed state have none."""
    snapshot = bench.put(7, 1, sum=state(b"a", b"b"), process=None, window=state(b"c"))
    assert bench.event() == Acknowledged(7, snapshot)
    assert bench.storage.sealed == [(7, "sum", 1, b"ab"), (7, "window", 1, b"c")]
    assert [part.name for part in snapshot.parts] == ["sum-1", "window-1"]


def test_what_has_nothing_to_store_is_acknowledged_at_once(bench: Bench) -> None:
    """And starts no thread, even while another snapshot is being written."""
    held = state(b"x", held=True)
    bench.put(7, 0, sum=held)
    assert held.begun.wait(PATIENCE)
    quick = bench.put(7, 1, map=None)
    assert bench.event() == Acknowledged(7, quick)
    held.go_on.set()
    assert isinstance(bench.event(), Acknowledged)


def test_the_caller_does_not_wait_for_the_store(bench: Bench) -> None:
    """Snapshots are written one after the other, in the order in which they came."""
    states = [state(b"%d" % n, held=True) for n in range(3)]
    for n, each in enumerate(states):
        bench.put(7, n, sum=each)
    for each in states:
        each.go_on.set()
    assert [cast("Acknowledged", bench.event()).snapshot.participant.subtask for _ in states] == [0, 1, 2]


def test_a_checkpoint_that_is_given_up_is_written_no_further(bench: Bench) -> None:
    """What is being written stops at its next piece, what waits is not begun; the next one is stored."""
    running, waiting, after = state(b"a", b"b", held=True), state(b"c"), state(b"d")
    bench.put(7, 0, sum=running)
    bench.put(7, 1, sum=waiting)
    assert running.begun.wait(PATIENCE)
    bench.parts.abandon(7)
    running.go_on.set()
    snapshot = bench.put(8, 0, sum=after)
    assert bench.event() == Acknowledged(8, snapshot)
    assert bench.storage.sealed == [(8, "sum", 0, b"d")]
    assert bench.storage.discarded == [("sum", 0)]
    assert not waiting.begun.is_set()
    assert running.released.wait(PATIENCE)
    assert waiting.released.wait(PATIENCE)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CheckpointError("no room", retryable=True), Declined),
        (CheckpointError("cannot sync", retryable=False), SubtaskFailed),
        (Fenced("overtaken"), SubtaskFailed),
        (ValueError("a defect"), SubtaskFailed),
    ],
)
def test_a_fault_that_passes_declines_and_any_other_fails_the_job(
    error: Exception, expected: type[TaskEvent]
) -> None:
    """Nothing is acknowledged, nothing is left of the part, and the state is released."""
    bench = Bench(error)
    written = state(b"x")
    bench.put(7, 0, sum=written)
    event = bench.event()
    assert isinstance(event, expected)
    assert error in (getattr(event, "reason", None), getattr(event, "error", None))
    assert bench.storage.discarded == [("sum", 0)]
    assert written.released.wait(PATIENCE)
    bench.parts.stop()
    assert bench.parts.join(timedelta(seconds=PATIENCE))


def test_a_stop_ends_the_thread_and_releases_what_waits() -> None:
    bench = Bench()
    running, waiting = state(b"a", held=True), state(b"b")
    bench.put(7, 0, sum=running)
    bench.put(7, 1, sum=waiting)
    assert running.begun.wait(PATIENCE)
    bench.parts.stop()
    assert not bench.parts.join(timedelta(0))
    running.go_on.set()
    assert bench.parts.join(timedelta(seconds=PATIENCE))
    assert bench.events.empty()
    assert (bench.storage.sealed, bench.storage.discarded) == ([], [("sum", 0)])
    assert running.released.is_set()
    assert waiting.released.is_set()


def test_a_thread_that_never_started_has_ended() -> None:
    assert Bench().parts.join(timedelta(0))


def test_a_checkpoint_given_up_covers_those_before_it(bench: Bench) -> None:
    """The snapshot of an older one may come late: it is released, not written."""
    bench.parts.abandon(5)
    older, newer = state(b"a"), state(b"b")
    bench.put(4, 0, sum=older)
    snapshot = bench.put(6, 0, sum=newer)
    assert bench.event() == Acknowledged(6, snapshot)
    assert older.released.wait(PATIENCE)
    assert bench.storage.sealed == [(6, "sum", 0, b"b")]


def test_what_waits_at_the_end_is_released(bench: Bench) -> None:
    """It may be memory, or files of a state backend; nobody else knows of it."""
    written, waiting = state(b"a", held=True), state(b"b")
    bench.put(4, 0, sum=written)
    assert written.begun.wait(PATIENCE)
    bench.put(5, 0, sum=waiting)
    bench.parts.stop()
    written.go_on.set()
    assert bench.parts.join(timedelta(seconds=PATIENCE))
    assert waiting.released.is_set()
    assert bench.storage.sealed == []
