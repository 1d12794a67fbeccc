"""SinkCommits: a decided epoch reaches every sink, whatever one of them does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from pipeline.core.errors import SinkError
from pipeline.runtime.commits import SinkCommits
from pipeline.runtime.sink_tail import SinkTail
from pipeline.testing.clock import ManualClock


class FakeSink:
    """A sink whose commits end as told: True, False for a passing fault, or an error to raise.

    Args:
        outcomes: of each try; the last one is that of all later tries too.
    """

    def __init__(self, uid: str, *outcomes: bool | Exception) -> None:
        self.uid = uid
        self._outcomes = list(outcomes)
        self.commits: list[int] = []
        self.commit_timeout = timedelta()

    def commit(self, checkpoint_id: int) -> bool:
        self.commits.append(checkpoint_id)
        outcome = self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class Leaving(Exception):
    """The job is to leave at once."""


def commits(sinks: Sequence[FakeSink], pauses: list[int] | None = None) -> SinkCommits:
    noted: Any = ([] if pauses is None else pauses).append
    return SinkCommits(cast("Sequence[SinkTail]", sinks), noted, ManualClock())


def test_all_sinks_commit_in_their_order() -> None:
    order: list[str] = []

    class Ordered(FakeSink):
        def commit(self, checkpoint_id: int) -> bool:
            order.append(self.uid)
            return super().commit(checkpoint_id)

    sinks = [Ordered("a", True), Ordered("b", True), Ordered("c", True)]
    commits(sinks).commit(7)
    assert order == ["a", "b", "c"]
    assert all(sink.commits == [7] for sink in sinks)


def test_a_passing_fault_is_tried_again_ever_later() -> None:
    sink, pauses = FakeSink("a", False, False, False, True), list[int]()
    commits([sink], pauses).commit(7)
    assert (sink.commits, pauses) == ([7] * 4, [200, 400, 800])


def test_a_fault_that_stays_fails_with_the_operators_name() -> None:
    """After the last try nothing is waited for; a restart commits again, so it may help."""
    sink, pauses = FakeSink("file:report", False), list[int]()
    with pytest.raises(
        SinkError, match="checkpoint 7 is complete but could not be committed in 5 tries"
    ) as e:
        commits([sink], pauses).commit(7)
    assert (sink.commits, pauses) == ([7] * 5, [200, 400, 800, 1600])
    assert (e.value.operator, e.value.retryable) == ("file:report", True)


def test_a_patient_sink_is_tried_until_its_time_is_over() -> None:
    """A broker may be away for longer than five tries take; the pauses grow to a bound."""
    sink, pauses, clock = FakeSink("a", False), list[int](), ManualClock()
    sink.commit_timeout = timedelta(seconds=10)

    def pause(milliseconds: int) -> None:
        pauses.append(milliseconds)
        clock.advance(timedelta(milliseconds=milliseconds))

    with pytest.raises(SinkError, match="could not be committed in 10 tries"):
        SinkCommits(cast("Sequence[SinkTail]", [sink]), pause, clock).commit(7)
    assert pauses == [200, 400, 800, *[1600] * 6]


def test_one_that_fails_keeps_no_other_from_committing() -> None:
    """The first failure is the one that is raised."""
    first, second = OSError("disk"), OSError("network")
    sinks = [FakeSink("a", True), FakeSink("b", first), FakeSink("c", second), FakeSink("d", True)]
    with pytest.raises(OSError, match="disk") as raised:
        commits(sinks).commit(7)
    assert raised.value is first
    assert [sink.commits for sink in sinks] == [[7]] * 4


def test_who_leaves_at_once_waits_no_longer() -> None:
    """A pause that is broken off ends this sink's tries; each other sink still has one."""

    def leave(milliseconds: int) -> None:
        raise Leaving

    sinks = [FakeSink("a", False), FakeSink("b", True), FakeSink("c", False)]
    with pytest.raises(Leaving):
        SinkCommits(cast("Sequence[SinkTail]", sinks), leave, ManualClock()).commit(7)
    assert [sink.commits for sink in sinks] == [[7]] * 3
