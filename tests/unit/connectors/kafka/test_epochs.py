"""Epochs: which id each is written under, how they are joined, and what follows a commit; no broker."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.delivery import Epoch
from connectors.kafka.epochs import AfterCommit, Epochs, Place, after_commit, outcome_by_mark
from connectors.kafka.marks import Mark
from pipeline.core.errors import SinkError
from pipeline.spi.sink import CommitOutcome, RecoveryChoices

PLACE = Place(("a", "b"), "group", "marks")
NOTHING_SAID = RecoveryChoices()


def epochs(max_bytes: int = 100) -> Epochs:
    return Epochs(PLACE, "ours", max_bytes)


def written(of: Epochs, log: str, size_bytes: int = 1) -> Epoch:
    """Write an epoch up to its barrier."""
    return of.pre_commit(of.begin(), log, size_bytes)


def test_two_ids_take_turns_while_an_epoch_waits() -> None:
    """The next one cannot be written under an id whose transaction is still to be committed."""
    of = epochs()
    waiting = written(of, "log-1")
    used = [of.id_of(waiting)]
    for number in range(2, 5):
        younger = written(of, f"log-{number}")
        used.append(of.id_of(younger))
        of.committed(waiting)
        waiting = younger
    assert used == ["a", "b", "a", "b"]


def test_a_handle_names_all_that_a_recovery_needs() -> None:
    assert written(epochs(), "log-1") == {
        "number": 1,
        "lineage": "ours",
        "logs": ["log-1"],
        "ids": ["a", "b"],
        "group": "group",
        "marks": "marks",
    }


def test_an_epoch_of_another_attempt_has_no_id_here() -> None:
    of = epochs()
    handle = written(of, "log-1")
    assert of.id_of({**handle, "number": 9}) is None
    of.committed(handle)
    assert of.id_of(handle) is None


def test_joined_epochs_keep_the_older_s_number_transaction_and_order() -> None:
    """The younger one's number is used again: marks count without gaps."""
    of = epochs()
    older, younger = written(of, "log-1", 40), written(of, "log-2", 50)
    joined = of.join(older, younger)
    assert (joined.aborted, joined.id) == ("b", "a")
    assert joined.epoch == {**older, "logs": ["log-1", "log-2"]}
    assert of.id_of(joined.epoch) == "a"
    assert not of.takes_more(10), "both count"
    next_one = of.begin()
    assert (next_one["number"], of.id) == (2, "b")


def test_what_is_written_and_what_waits_is_bounded_together() -> None:
    of = epochs(100)
    assert of.takes_more(99)
    assert not of.takes_more(100)
    handle = written(of, "log-1", 60)
    assert of.takes_more(39)
    assert not of.takes_more(40)
    of.committed(handle)
    assert of.takes_more(99)


def test_a_dropped_epoch_emits_its_id_once() -> None:
    of = epochs()
    handle = written(of, "log-1", 60)
    assert of.any_waiting
    assert of.drop(handle) == "a"
    assert of.drop(handle) is None
    assert not of.any_waiting
    assert of.takes_more(99)


@given(st.lists(st.sampled_from(["commit", "join"]), max_size=30))
def test_no_two_epochs_that_wait_share_an_id(choices: list[str]) -> None:
    """Whatever checkpoints complete or fail: a transaction has the records of one epoch."""
    of = epochs(1 << 30)
    waiting = written(of, "log-0")
    logs = ["log-0"]
    for number, choice in enumerate(choices, 1):
        younger = written(of, f"log-{number}")
        assert of.id_of(waiting) != of.id_of(younger)
        assert younger["number"] == waiting["number"] + 1
        if choice == "commit":
            of.committed(waiting)
            waiting, logs = younger, [f"log-{number}"]
        else:
            waiting = of.join(waiting, younger).epoch
            logs.append(f"log-{number}")
        assert waiting["logs"] == logs


# --- recovery ------------------------------------------------------------


def test_recovery_takes_over_its_own_ids_and_those_that_were_used() -> None:
    of = epochs()
    assert of.ids_of_recovery() == ["a", "b"]
    of.restore({"ids": ["old-a", "old-b"], "committed_offset": 4})
    assert of.ids_of_recovery() == ["a", "b", "old-a", "old-b"]
    assert of.ids_of_recovery({**of.begin(), "ids": ["c"]}) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("state", "mark", "number"),
    [
        (None, None, 1),
        ({"committed_offset": 4}, None, 5),
        ({"committed_offset": 4}, Mark(4, "ours", 1), 5),
        ({"committed_offset": 4}, Mark(2, "ours", 1), 5),
        (None, Mark(7, "ours", 1), 8),  # a fresh start of the lineage, after epochs that no checkpoint has
        (None, Mark(7, "another", 1), 8),
        ({"committed_offset": 4}, Mark(7, "another", 1), 8),
    ],
)
def test_a_number_is_never_given_twice(state: dict[str, int] | None, mark: Mark | None, number: int) -> None:
    of = epochs()
    if state is not None:
        of.restore(state)
    of.continue_after(mark, NOTHING_SAID)
    assert of.begin()["number"] == number


def test_a_checkpoint_older_than_the_mark_is_refused() -> None:
    """What follows it is visible already, and would be written again."""
    of = epochs()
    of.restore({"committed_offset": 4})
    with pytest.raises(SinkError, match="ends with epoch 4, but epoch 7 is committed"):
        of.continue_after(Mark(7, "ours", 1), NOTHING_SAID)
    of.continue_after(Mark(7, "ours", 1), RecoveryChoices(accept_duplicates=True))
    assert of.begin()["number"] == 8


def test_a_snapshot_restores_the_count_and_the_ids() -> None:
    of, next_run = epochs(), Epochs(Place(("c", "d"), "group", "marks"), "ours", 100)
    of.recovered({**of.begin(), "number": 6})
    next_run.restore(of.snapshot())
    assert next_run.begin()["number"] == 7
    assert next_run.ids_of_recovery() == ["c", "d", "a", "b"]


# --- outcomes of a commit ------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "then"),
    [
        (None, AfterCommit.COMMITTED),
        (KafkaError(KafkaError._TIMED_OUT, "", False, True, False), AfterCommit.TRY_AGAIN),
        (KafkaError(KafkaError._FENCED, "", True, False, False), AfterCommit.LOOK_UP),
        (KafkaError(KafkaError._STATE, "", False, False, False), AfterCommit.LOOK_UP),
        (KafkaError(KafkaError.INVALID_TXN_STATE, "", False, False, True), AfterCommit.LOOK_UP),
    ],
)
def test_only_a_retriable_commit_is_tried_again(error: KafkaError | None, then: AfterCommit) -> None:
    """Of any other the client knows nothing: the broker may have committed, and the answer been lost."""
    assert after_commit(error) is then


@pytest.mark.parametrize(
    ("marked", "outcome"), [(7, CommitOutcome.ALREADY_COMMITTED), (6, CommitOutcome.RETRY)]
)
def test_the_mark_tells_what_became_of_a_commit(marked: int, outcome: CommitOutcome) -> None:
    epoch: Epoch = {**epochs().begin(), "number": 7}
    assert outcome_by_mark(Mark(marked, "ours", 1), epoch, NOTHING_SAID) is outcome


def test_without_a_mark_nothing_tells() -> None:
    with pytest.raises(SinkError, match="cannot be determined"):
        outcome_by_mark(None, epochs().begin(), NOTHING_SAID)
