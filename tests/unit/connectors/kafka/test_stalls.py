"""StallWatch: when a call that waits is the client's fault, and when the brokers'."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest

from connectors.kafka.stalls import StallWatch
from pipeline.core.errors import SinkError
from pipeline.testing.clock import ManualClock

SLICE = timedelta(milliseconds=200)


class Brokers:
    """Answer as configured, one question after the other, then as they did last."""

    def __init__(self, answers: Iterable[bool], clock: ManualClock) -> None:
        self._answers = list(answers)
        self._clock = clock
        self.asked_at: list[int] = []

    def answer(self) -> bool:
        self.asked_at.append(self._clock.monotonic_ms())
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def wait(watch: StallWatch, clock: ManualClock, seconds: float) -> None:
    """Let the call wait, in slices."""
    for _ in range(round(timedelta(seconds=seconds) / SLICE)):
        clock.advance(SLICE)
        watch.look()


def watched(*answers: bool) -> tuple[StallWatch, Brokers, ManualClock]:
    clock = ManualClock()
    brokers = Brokers(answers, clock)
    return StallWatch("flush", brokers.answer, clock), brokers, clock


def test_a_call_that_takes_a_moment_is_not_asked_about() -> None:
    watch, brokers, clock = watched(True)
    wait(watch, clock, 3.8)
    assert brokers.asked_at == []


def test_brokers_that_answer_another_client_twice_prove_that_this_one_hangs() -> None:
    watch, brokers, clock = watched(True)
    with pytest.raises(SinkError, match="cannot flush: the client hangs, though the brokers answer") as error:
        wait(watch, clock, 60)
    assert error.value.retryable
    assert brokers.asked_at == [4000, 8000]


def test_one_answer_leaves_the_client_time_to_get_its_own() -> None:
    watch, brokers, clock = watched(True)
    wait(watch, clock, 7.8)
    assert brokers.asked_at == [4000]


def test_brokers_that_do_not_answer_are_waited_for_without_an_end(caplog: pytest.LogCaptureFixture) -> None:
    """An outage: it is asked again and again, nothing is given up, and what is waited for is said once."""
    watch, brokers, clock = watched(False)
    wait(watch, clock, 600)
    assert brokers.asked_at[:3] == [4000, 5000, 6000]
    assert len(brokers.asked_at) == 597
    assert caplog.messages == ["waiting to flush: the brokers do not answer another client either"]


def test_the_end_of_an_outage_emits_the_client_its_grace() -> None:
    """Only answers in a row count: a broker that stumbles is not yet back."""
    watch, brokers, clock = watched(False, True, False, True)
    with pytest.raises(SinkError, match="the client hangs"):
        wait(watch, clock, 60)
    assert brokers.asked_at == [4000, 5000, 9000, 10_000, 14_000]


def test_a_call_that_moves_is_not_suspected() -> None:
    """A large flush over a slow network takes minutes, and gets smaller all the time."""
    watch, brokers, clock = watched(True)
    for _ in range(100):
        wait(watch, clock, 3)
        watch.progressed()
    assert brokers.asked_at == []
    wait(watch, clock, 4)
    watch.progressed()
    wait(watch, clock, 7)
    assert brokers.asked_at == [304_000, 308_000]


def test_what_makes_waiting_pointless_ends_it() -> None:
    def ask() -> bool:
        raise SinkError("the topic events was deleted", retryable=False)

    clock = ManualClock()
    with pytest.raises(SinkError, match="was deleted"):
        wait(StallWatch("flush", ask, clock), clock, 5)
