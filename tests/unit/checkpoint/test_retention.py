"""plan_deletions: what may go, and what never may."""

from hypothesis import given
from hypothesis import strategies as st

from checkpoint.barrier import CheckpointKind
from checkpoint.retention import Deletions, Stored, plan_deletions

PERIODIC, SAVEPOINT, STOP, FINAL = CheckpointKind


def stored(checkpoint_id: int, kind: CheckpointKind | None = PERIODIC, *parts: str) -> Stored:
    return Stored(checkpoint_id, kind, frozenset(parts))


def test_the_newest_are_kept():
    """Retention counts complete checkpoints from the newest down."""
    plan = plan_deletions([stored(n) for n in (1, 2, 5, 7)], {}, noted=7, retention=2)

    assert plan == Deletions((1, 2), ())


def test_the_only_one_is_kept():
    """There is always something to restore from."""
    assert plan_deletions([stored(1)], {}, noted=1, retention=1) == Deletions((), ())


def test_savepoints_are_kept_and_not_counted():
    """A savepoint goes by hand only, and costs no ordinary checkpoint its place."""
    plan = plan_deletions(
        [stored(1, SAVEPOINT), stored(2), stored(3, SAVEPOINT), stored(4), stored(5, STOP)],
        {},
        noted=5,
        retention=2,
    )

    assert plan == Deletions((2,), ())


def test_what_is_not_noted_is_kept():
    """Its commit may have to be repeated."""
    plan = plan_deletions([stored(n) for n in (1, 2, 3, 4)], {}, noted=2, retention=1)

    assert plan == Deletions((1, 2), ())


def test_parts_go_with_the_last_checkpoint_that_needs_them():
    """A part that a newer checkpoint shares stays."""
    plan = plan_deletions(
        [stored(1, PERIODIC, "old", "shared"), stored(2, PERIODIC, "shared", "new")],
        {"old": 1, "shared": 1, "new": 2},
        noted=2,
        retention=1,
    )

    assert plan == Deletions((1,), ("old",))


def test_parts_that_may_still_become_part_of_a_checkpoint_are_kept():
    """An orphan goes once a manifest with its number or a higher one exists, and not before."""
    plan = plan_deletions(
        [stored(4, PERIODIC, "mine")],
        {"orphan-3": 3, "orphan-4": 4, "mine": 4, "being-written-5": 5},
        noted=4,
        retention=3,
    )

    assert plan == Deletions((), ("orphan-3", "orphan-4"))


def test_an_unreadable_manifest_is_kept_and_saves_all_parts():
    """Nobody knows which parts it needs; it is evidence, and counts for nothing."""
    plan = plan_deletions([stored(1), stored(2, None), stored(3)], {"a": 1, "b": 2}, noted=3, retention=1)

    assert plan == Deletions((1,), ())


def test_without_a_checkpoint_nothing_is_deleted():
    """Before the first manifest every part may be wanted."""
    assert plan_deletions([], {"a": 1}, noted=0, retention=1) == Deletions((), ())


STORED = st.lists(
    st.builds(
        Stored,
        st.integers(1, 12),
        st.sampled_from([PERIODIC, PERIODIC, SAVEPOINT, STOP, FINAL, None]),
        st.frozensets(st.sampled_from("abcdef")),
    ),
    unique_by=lambda one: one.checkpoint_id,
)


NUMBERS = st.lists(st.integers(1, 13), min_size=6, max_size=6)


@given(everything=STORED, noted=st.integers(0, 12), retention=st.integers(1, 4), numbers=NUMBERS)
def test_whatever_is_kept_is_whole(everything, noted, retention, numbers):
    """No kept manifest loses a part, the newest always stays, and planning again deletes nothing more."""
    parts = dict(zip("abcdef", numbers, strict=True))

    plan = plan_deletions(everything, parts, noted=noted, retention=retention)

    kept = [one for one in everything if one.checkpoint_id not in plan.checkpoints]
    assert not any(one.parts & set(plan.parts) for one in kept)
    assert max(everything, key=lambda one: one.checkpoint_id, default=None) == max(
        kept, key=lambda one: one.checkpoint_id, default=None
    )
    left = {name: number for name, number in parts.items() if name not in plan.parts}
    assert plan_deletions(kept, left, noted=noted, retention=retention) == Deletions((), ())


def test_a_log_goes_once_its_commit_is_noted():
    """The checkpoint stays; the epoch can be seen at the target and is never written again."""
    kept = [
        Stored(1, PERIODIC, frozenset({"state-1"}), frozenset({"log-1"})),
        Stored(2, SAVEPOINT, frozenset({"state-2"}), frozenset({"log-2"})),
        Stored(3, PERIODIC, frozenset({"state-3"}), frozenset({"log-3", "log-of-a-declined-one"})),
    ]
    parts = {"state-1": 1, "log-1": 1, "state-2": 2, "log-2": 2, "state-3": 3, "log-3": 3}
    parts["log-of-a-declined-one"] = 3

    assert plan_deletions(kept, parts, noted=2, retention=3) == Deletions((), ("log-1", "log-2"))
    assert "log-3" in plan_deletions(kept, parts, noted=3, retention=3).parts
