"""The checkpoint protocol under every misfortune chance can think of: seeded, and able to find planted bugs.

`PIPELINE_SIMULATIONS` sets how many seeds are tried; a failure names its seed.
"""

import os
from typing import Any

import pytest

from checkpoint.aligner import Aligner
from checkpoint.commands import Commit, Persist
from checkpoint.coordinator import CheckpointCoordinator
from checkpoint.two_phase import TwoPhaseDriver

from .promises import Violation
from .sinks import TransactionalSink
from .world import World

SEEDS = int(os.environ.get("PIPELINE_SIMULATIONS", "1000"))
MOST_SEEDS_TO_FIND_A_BUG = 1000


def simulate(
    seed, *, coordinator=CheckpointCoordinator, driver=TwoPhaseDriver, aligner=Aligner, transactions=None
) -> World:
    world = World(seed, coordinator, driver, aligner)
    if transactions is not None:
        world.sink_kind = transactions
    try:
        world.live()
    except Exception as error:
        error.add_note(f"reproduce with: simulate({seed})")
        raise
    return world


@pytest.mark.timeout(120 + SEEDS // 20)
def test_every_epoch_is_committed_exactly_once_whatever_happens():
    """Manifests of one instant, commits of what they name only, no record lost or twice, no standstill."""
    attempts = 0
    for seed in range(SEEDS):
        attempts += simulate(seed).attempt

    assert attempts > 2 * SEEDS, "hardly anything has gone wrong: the simulation proves nothing"


class CommitsBeforeTheManifest(CheckpointCoordinator):
    def acknowledge(self, checkpoint_id, participant, snapshot, now):
        commands = super().acknowledge(checkpoint_id, participant, snapshot, now)
        return (
            [*commands, Commit(checkpoint_id)] if any(isinstance(c, Persist) for c in commands) else commands
        )


class TriggersBeforeTheNote(CheckpointCoordinator):
    def committed(self, checkpoint_id, now):
        return [*super().committed(checkpoint_id, now), *self.noted(checkpoint_id, now)]


class NeverForgivesFailures(CheckpointCoordinator):
    def manifest_written(self, checkpoint_id, now):
        failures = self._failures
        commands = super().manifest_written(checkpoint_id, now)
        self._failures = failures
        return commands


class TakesLateAnswersForPresentOnes(CheckpointCoordinator):
    def _is_current(self, checkpoint_id):
        return True


class ForgetsTheDeadline(CheckpointCoordinator):
    def next_deadline(self):
        return None if self.in_flight else super().next_deadline()


class DropsPendingOnDecline(TwoPhaseDriver[Any]):
    def declined(self, checkpoint_id):
        self._pending = [pending for pending in self._pending if pending.checkpoint_id != checkpoint_id]


class AbortsWhatMayBeDecided(TwoPhaseDriver[Any]):
    def close(self, undecided_from):
        super().close(0)


class ForgetsWhatMustBeRetried(TwoPhaseDriver[Any]):
    def commit(self, checkpoint_id):
        super().commit(checkpoint_id)
        return []


class ListsTheNewestOnly(TwoPhaseDriver[Any]):
    def pre_commit(self, checkpoint_id):
        return super().pre_commit(checkpoint_id)[-1:]


class NeverJoins(TransactionalSink):
    def join(self, older, younger):
        return None


class JoinsWithoutTheLog(TransactionalSink):
    def join(self, older, younger):
        super().join(older, younger)
        return older


class LeavesOutTheMark(TransactionalSink):
    def show(self, txn, records):
        before = self.world.marks[self.name]
        try:
            return super().show(txn, records)
        finally:
            self.world.marks[self.name] = before


class DropsTheLogAtItsDecision(TransactionalSink):
    def commit(self, txn):
        for log in txn[3]:
            self.world.logs.pop(log, None)
        return super().commit(txn)


class DoesNotBlock(Aligner):
    @property
    def blocked(self):
        return frozenset()

    def on_barrier(self, channel, barrier):
        self._arrived.discard(channel)
        return super().on_barrier(channel, barrier)


class NeverUnblocks(Aligner):
    def abandon(self, checkpoint_id):
        pass


@pytest.mark.parametrize(
    ("bug", "found_as"),
    [
        ({"coordinator": CommitsBeforeTheManifest}, "no manifest says so"),
        ({"coordinator": TriggersBeforeTheNote}, "before checkpoint"),
        ({"coordinator": NeverForgivesFailures}, "failures in a row"),
        ({"coordinator": TakesLateAnswersForPresentOnes}, ""),
        ({"coordinator": ForgetsTheDeadline}, "deadlock"),
        ({"driver": DropsPendingOnDecline}, "shows other epochs"),
        ({"driver": AbortsWhatMayBeDecided}, "is decided, yet aborted"),
        ({"driver": ForgetsWhatMustBeRetried}, "shows other epochs"),
        ({"driver": ListsTheNewestOnly}, ""),
        ({"transactions": NeverJoins}, ""),
        ({"transactions": JoinsWithoutTheLog}, "shows other epochs"),
        ({"transactions": LeavesOutTheMark}, ""),
        ({"transactions": DropsTheLogAtItsDecision}, "its log is gone"),
        ({"aligner": DoesNotBlock}, "not of one instant"),
        ({"aligner": NeverUnblocks}, "deadlock"),
    ],
    ids=lambda value: next(iter(value.values())).__name__ if isinstance(value, dict) else "",
)
def test_a_planted_bug_is_found(bug, found_as):
    """The simulation can fail: each of these breaks a promise within a few seeds."""
    assert found_as in first_violation(bug)


def first_violation(bug) -> str:
    for seed in range(MOST_SEEDS_TO_FIND_A_BUG):
        try:
            simulate(seed, **bug)
        except Violation as violation:
            return str(violation)
    pytest.fail(f"not found in {MOST_SEEDS_TO_FIND_A_BUG} seeds")
