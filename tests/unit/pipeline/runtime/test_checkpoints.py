"""Checkpoints: each command of the coordinator is carried out, in its order, and told to those who listen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from checkpoint.barrier import Barrier, CheckpointKind
from checkpoint.schedule import CoordinatorSettings
from checkpoint.storage.base import History
from pipeline.core.config import Settings
from pipeline.core.errors import CheckpointError, Fenced
from pipeline.core.job import JobStatus
from pipeline.runtime.checkpoints import Checkpoints, Stored, settings_of
from pipeline.runtime.commits import SinkCommits
from pipeline.runtime.events import (
    Acknowledged,
    CheckpointCompleted,
    CheckpointFailed,
    CleanUpFailed,
    Declined,
    StatusChanged,
)
from pipeline.runtime.snapshot import Participant, SubtaskSnapshot
from pipeline.runtime.status import StatusTracker
from pipeline.runtime.wiring import Wired
from pipeline.testing.clock import ManualClock

SOURCE, SINK = Participant("Source", 0), Participant("Sink", 0)


class World:
    """A source, another subtask, a storage, sinks and a listener that write down what reaches them."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.failing: dict[str, Exception] = {}
        self.history = History((), 4, None)

    def __getattr__(self, name: str) -> Any:
        """A method that writes down its name and arguments, or raises what is to fail it."""

        def method(*arguments: Any) -> Any:
            self.log.append((name, *arguments))
            if name in self.failing:
                raise self.failing[name]
            return None

        return method

    def take_log(self) -> list[Any]:
        log = [entry for entry in self.log if not isinstance(entry, StatusChanged)]
        self.log.clear()
        return log


class Manifests:
    def __init__(self, world: World) -> None:
        self._world = world

    def write(self, checkpoint_id: int, kind: CheckpointKind, snapshots: Iterable[SubtaskSnapshot]) -> Any:
        self._world.write(checkpoint_id, kind, sorted(each.participant for each in snapshots))
        return SimpleNamespace(checkpoint_id=checkpoint_id, kind=kind, size_bytes=7)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def checkpoints(world: World, clock: ManualClock) -> Checkpoints:
    source = SimpleNamespace(
        participant=SOURCE, inject=world.inject, abandon=world.abandon, committed=world.committed
    )
    sink = SimpleNamespace(participant=SINK, abandon=world.abandon)
    wired = SimpleNamespace(
        sources=[source], subtasks=[source, sink], parts=SimpleNamespace(abandon=world.abandon_parts)
    )
    stored = Stored(cast("Any", world), cast("Any", Manifests(world)), None, retention=3)
    tracker = StatusTracker(world.log.append)
    tracker.change(JobStatus.SCHEDULED)
    tracker.change(JobStatus.INITIALIZING)
    tracker.change(JobStatus.RUNNING)
    settings = CoordinatorSettings(5, interval_ms=1_000, min_pause_ms=0, tolerable_failures=1)
    commits = cast("SinkCommits", SimpleNamespace(commit=world.commit))
    made = Checkpoints(cast("Wired", wired), stored, settings, commits, tracker, clock)
    made.start()
    return made


def trigger(checkpoints: Checkpoints, clock: ManualClock) -> None:
    clock.advance(timedelta(seconds=1))
    checkpoints.tick()


def acknowledge(checkpoints: Checkpoints, checkpoint_id: int) -> None:
    for participant in (SOURCE, SINK):
        checkpoints.acknowledge(Acknowledged(checkpoint_id, SubtaskSnapshot(participant)))


def test_a_checkpoint_goes_from_its_barrier_to_its_note(
    world: World, checkpoints: Checkpoints, clock: ManualClock
) -> None:
    """The manifest before the commits, the commits before the note, the sources and the clean-up after it."""
    trigger(checkpoints, clock)
    assert world.take_log() == [("inject", Barrier(5, CheckpointKind.PERIODIC))]
    clock.advance(timedelta(milliseconds=300))
    acknowledge(checkpoints, 5)
    assert world.take_log() == [
        ("write", 5, CheckpointKind.PERIODIC, [SINK, SOURCE]),
        ("ensure_newest",),
        ("commit", 5),
        ("note", 5),
        ("committed", 5),
        CheckpointCompleted(5, "PERIODIC", 300, 7),
        ("clean", 3),
    ]
    assert (checkpoints.completed, checkpoints.ended_by) == (1, None)
    assert checkpoints.newest is not None
    assert checkpoints.newest.checkpoint_id == 5


def test_the_last_checkpoint_ends_the_run(world: World, checkpoints: Checkpoints) -> None:
    checkpoints.request(CheckpointKind.STOP)
    acknowledge(checkpoints, 5)
    assert checkpoints.ended_by is CheckpointKind.STOP


def test_a_declined_checkpoint_is_given_up_everywhere(
    world: World, checkpoints: Checkpoints, clock: ManualClock
) -> None:
    """By those that store its state, by both subtasks, and in the sight of those who listen."""
    trigger(checkpoints, clock)
    world.take_log()
    checkpoints.decline(Declined(5, SINK, CheckpointError("no room")))
    assert world.take_log() == [
        ("abandon_parts", 5),
        ("abandon", 5),
        ("abandon", 5),
        CheckpointFailed(5, "Sink/0 declined: no room"),
    ]
    trigger(checkpoints, clock)
    with pytest.raises(CheckpointError, match="failure 2 in a row") as caught:
        checkpoints.decline(Declined(6, SINK, CheckpointError("still no room")))
    assert str(caught.value.__cause__) == "still no room"


def test_a_manifest_that_cannot_be_stored_declines_or_fails(
    world: World, checkpoints: Checkpoints, clock: ManualClock
) -> None:
    """As a retry may help or not; either way nothing is committed."""
    world.failing["write"] = CheckpointError("no room")
    trigger(checkpoints, clock)
    acknowledge(checkpoints, 5)
    assert CheckpointFailed(5, "no room") in world.log
    world.failing["write"] = Fenced("overtaken")
    trigger(checkpoints, clock)
    with pytest.raises(Fenced):
        acknowledge(checkpoints, 6)
    assert ("commit", 5) not in world.log
    assert ("commit", 6) not in world.log


def test_one_that_was_overtaken_commits_nothing(
    world: World, checkpoints: Checkpoints, clock: ManualClock
) -> None:
    """The manifest is there, so the newer attempt commits: this one must leave the target alone."""
    world.failing["ensure_newest"] = Fenced("overtaken")
    trigger(checkpoints, clock)
    with pytest.raises(Fenced):
        acknowledge(checkpoints, 5)
    assert ("commit", 5) not in world.log


@pytest.mark.parametrize("error", [CheckpointError("denied", retryable=False), Fenced("overtaken")])
def test_a_clean_up_that_fails_costs_only_space_unless_we_were_overtaken(
    world: World, checkpoints: Checkpoints, clock: ManualClock, error: CheckpointError
) -> None:
    world.failing["clean"] = error
    trigger(checkpoints, clock)
    if isinstance(error, Fenced):
        with pytest.raises(Fenced):
            acknowledge(checkpoints, 5)
    else:
        acknowledge(checkpoints, 5)
        assert CleanUpFailed(error) in world.log
        assert checkpoints.completed == 1


class TestSettings:
    """When checkpoints are taken follows from the settings, the storage and the source."""

    CONFIG = Settings(
        checkpoint_interval=timedelta(seconds=2),
        checkpoint_rows=10,
        checkpoint_min_pause=timedelta(milliseconds=5),
        checkpoint_timeout=timedelta(seconds=9),
    )

    def test_numbers_continue_from_the_history(self, world: World) -> None:
        stored = Stored(cast("Any", world), cast("Any", None), None, retention=3)
        settings = settings_of(self.CONFIG, stored, resumable=True)
        assert settings == CoordinatorSettings(5, 2_000, 10, 5, 9_000, 3)

    @pytest.mark.parametrize(("stores", "resumable"), [(False, True), (True, False)])
    def test_without_storage_or_a_position_there_is_one_epoch(
        self, world: World, stores: bool, resumable: bool
    ) -> None:
        stored = Stored(cast("Any", world), cast("Any", None), None, retention=3) if stores else None
        settings = settings_of(self.CONFIG, stored, resumable=resumable)
        assert (settings.interval_ms, settings.rows) == (None, None)
