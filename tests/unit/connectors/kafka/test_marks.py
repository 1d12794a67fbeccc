"""judge: what a mark says about an epoch that is decided and not noted, and what nothing can say."""

from __future__ import annotations

import pytest

from connectors.kafka.marks import Mark, Verdict, default_prefix, judge
from pipeline.core.errors import SinkError
from pipeline.spi.sink import RecoveryChoices

NOTHING_SAID = RecoveryChoices()
ALL = [RecoveryChoices(accept, assume) for accept in (False, True) for assume in (None, False, True)]


def mark(epoch: int, lineage: str = "ours") -> Mark:
    return Mark(epoch, lineage, 1)


@pytest.mark.parametrize("choices", ALL)
@pytest.mark.parametrize(
    ("found", "verdict"), [(7, Verdict.DONE), (6, Verdict.PENDING), (0, Verdict.PENDING)]
)
def test_a_mark_of_this_lineage_decides(found: int, verdict: Verdict, choices: RecoveryChoices) -> None:
    """The same epoch's: committed. An older one's: not. What the user assumes is not asked for."""
    assert judge(mark(found), 7, "ours", choices) is verdict


@pytest.mark.parametrize("found", [None, mark(7, "another"), mark(9, "another"), mark(3, "")])
def test_without_a_mark_of_this_lineage_it_is_refused(found: Mark | None) -> None:
    """There was one before the first record: that it is gone says nothing about the epoch."""
    with pytest.raises(SinkError, match="cannot be determined whether epoch 7 was committed") as error:
        judge(found, 7, "ours", NOTHING_SAID)
    assert not error.value.retryable
    assert "--assume-committed or --assume-uncommitted" in str(error.value)
    assert judge(found, 7, "ours", RecoveryChoices(assume_committed=True)) is Verdict.DONE
    assert judge(found, 7, "ours", RecoveryChoices(assume_committed=False)) is Verdict.PENDING


def test_a_mark_ahead_is_refused_unless_duplicates_are_accepted() -> None:
    """The checkpoint is not the newest there was; what it decided is committed long since."""
    with pytest.raises(SinkError, match="ends with epoch 7, but epoch 9 is committed") as error:
        judge(mark(9), 7, "ours", RecoveryChoices(assume_committed=True))
    assert not error.value.retryable
    assert "--accept-duplicates" in str(error.value)
    assert judge(mark(9), 7, "ours", RecoveryChoices(accept_duplicates=True)) is Verdict.DONE


def test_names_on_the_broker_hold_what_a_group_may_be_called() -> None:
    """The same for each start of a job, and readable."""
    assert default_prefix("flights alerts/é", "kafka:alerts") == "pipeline-flights_alerts_-kafka:alerts"
