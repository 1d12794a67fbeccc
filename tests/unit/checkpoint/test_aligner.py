"""Aligner: one barrier from all channels, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkpoint.aligner import Aligned, Aligner, Blocked, Ignored
from checkpoint.barrier import Barrier, CheckpointKind
from pipeline.core.errors import InternalError


def barrier(checkpoint_id: int) -> Barrier:
    return Barrier(checkpoint_id, CheckpointKind.PERIODIC)


def test_one_channel_is_aligned_at_once():
    """An operator with one input never waits."""
    aligner = Aligner(1)

    assert aligner.on_barrier(0, barrier(1)) == Aligned(barrier(1))
    assert aligner.blocked == frozenset()


def test_channels_that_have_delivered_wait_for_the_others():
    """No record of the next epoch enters the snapshot: who delivered is blocked until the last did."""
    aligner = Aligner(3)

    assert aligner.on_barrier(2, barrier(1)) == Blocked()
    assert aligner.on_barrier(0, barrier(1)) == Blocked()
    assert aligner.blocked == {0, 2}
    assert aligner.on_barrier(1, barrier(1)) == Aligned(barrier(1))
    assert aligner.blocked == frozenset()


def test_an_abandoned_checkpoint_unblocks_and_its_late_barriers_are_ignored():
    """After a decline records flow again, and the stragglers of the old barrier do not block."""
    aligner = Aligner(2)
    aligner.on_barrier(0, barrier(1))

    aligner.abandon(1)

    assert aligner.blocked == frozenset()
    assert aligner.on_barrier(1, barrier(1)) == Ignored()
    assert aligner.on_barrier(1, barrier(2)) == Blocked()
    assert aligner.on_barrier(0, barrier(2)) == Aligned(barrier(2))


def test_a_checkpoint_abandoned_before_its_first_barrier_is_ignored():
    """The word of a decline may overtake the barrier."""
    aligner = Aligner(2)

    aligner.abandon(1)

    assert aligner.on_barrier(0, barrier(1)) == Ignored()


def test_abandoning_an_older_checkpoint_does_not_disturb_the_present_one():
    """Late word about a checkpoint that is over changes nothing."""
    aligner = Aligner(2)
    aligner.on_barrier(0, barrier(5))

    aligner.abandon(4)

    assert aligner.blocked == {0}


def test_a_newer_barrier_supersedes_an_incomplete_older_one():
    """The older one will never complete: its channels are unblocked, its stragglers ignored."""
    aligner = Aligner(2)
    aligner.on_barrier(0, barrier(1))

    assert aligner.on_barrier(1, barrier(2)) == Blocked()
    assert aligner.blocked == {1}
    assert aligner.on_barrier(0, barrier(1)) == Ignored()
    assert aligner.on_barrier(0, barrier(2)) == Aligned(barrier(2))


def test_reading_a_blocked_channel_is_an_engine_error():
    """What must not be read cannot have delivered anything."""
    aligner = Aligner(2)
    aligner.on_barrier(0, barrier(1))

    for checkpoint_id in (1, 2):
        with pytest.raises(InternalError, match="channel 0 is blocked"):
            aligner.on_barrier(0, barrier(checkpoint_id))


class Oracle:
    """The definition of alignment, recomputed from the whole history at each event."""

    def __init__(self, channels: int) -> None:
        self.delivered: list[set[int]] = [set() for _ in range(channels)]
        self.over: set[int] = set()

    def present(self) -> int | None:
        seen = set().union(*self.delivered) - self.over
        return max(seen, default=None)

    def blocked(self) -> set[int]:
        present = self.present()
        return {c for c, ids in enumerate(self.delivered) if present in ids}

    def settle(self, limit: int) -> int | None:
        present = self.present()
        if present is None:
            return None
        self.over |= set(range(present))
        missing = [c for c, ids in enumerate(self.delivered) if present not in ids]
        if missing:
            return None
        self.over.add(present)
        return present


EVENTS = st.tuples(st.sampled_from(["barrier", "barrier", "barrier", "abandon"]), st.integers(0, 3))


@given(channels=st.integers(1, 4), events=st.lists(EVENTS, max_size=60), skips=st.lists(st.booleans()))
def test_every_history_aligns_exactly_as_the_definition_says(channels, events, skips):
    """Whatever the interleaving, gaps and declines: aligned and blocked are as defined."""
    aligner, oracle = Aligner(channels), Oracle(channels)
    skip = iter(skips)
    last = [0] * channels  # barriers rise within a channel
    for kind, number in events:
        channel = number % channels
        expected = None
        if kind == "abandon":
            checkpoint_id = last[channel] + number - 1
            aligner.abandon(checkpoint_id)
            oracle.over |= set(range(checkpoint_id + 1))
        elif channel in oracle.blocked():
            continue
        else:
            last[channel] += 1 + next(skip, False)
            checkpoint_id = last[channel]
            ignored = checkpoint_id in oracle.over
            oracle.delivered[channel].add(checkpoint_id)
            outcome = aligner.on_barrier(channel, barrier(checkpoint_id))
            expected = None if ignored else oracle.settle(channels)
            if ignored:
                assert outcome == Ignored()
            else:
                assert outcome == (Blocked() if expected is None else Aligned(barrier(expected)))
        assert aligner.blocked == oracle.blocked()


def test_late_word_of_a_decline_does_not_let_a_superseded_barrier_in():
    """It would take the place of the newer one, whose channel has been read already."""
    aligner = Aligner(2)
    aligner.on_barrier(0, barrier(4))
    aligner.abandon(4)
    aligner.on_barrier(0, barrier(5))

    aligner.abandon(3)

    assert aligner.on_barrier(1, barrier(4)) == Ignored()
    assert aligner.on_barrier(1, barrier(5)) == Aligned(barrier(5))
