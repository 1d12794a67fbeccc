"""Idleness: silence counts only while the source looks for records."""

from __future__ import annotations

from datetime import timedelta

from pipeline.runtime.idleness import Idleness
from pipeline.testing import ManualClock


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.wakes = 0
        self.idleness = Idleness(100, self.clock, self._wake)

    def pass_ms(self, ms: int) -> None:
        self.clock.advance(timedelta(milliseconds=ms))

    def _wake(self) -> None:
        self.wakes += 1


def test_a_silent_split_is_due_once() -> None:
    bench = Bench()
    bench.idleness.hear("a")
    bench.idleness.look()
    bench.pass_ms(60)
    bench.idleness.hear("b")
    bench.pass_ms(39)
    assert bench.idleness.take_due() == []
    bench.pass_ms(1)
    assert bench.idleness.take_due() == ["a"]
    assert bench.idleness.take_due() == []
    assert bench.idleness.left_ms() == 60


def test_time_that_is_spent_held_back_does_not_count() -> None:
    """FAULTS: a slow consumer must not make partitions idle that have plenty to give."""
    bench = Bench()
    bench.idleness.hear("a")
    bench.pass_ms(1000)
    bench.idleness.look()
    bench.pass_ms(50)
    bench.idleness.rest()
    bench.pass_ms(1000)
    bench.idleness.look()
    bench.pass_ms(49)
    assert bench.idleness.take_due() == []
    bench.pass_ms(1)
    assert bench.idleness.take_due() == ["a"]


def test_who_waits_without_a_limit_is_woken_when_the_clock_starts() -> None:
    bench = Bench()
    bench.idleness.hear("a")
    assert bench.idleness.left_ms() is None
    bench.idleness.look()
    assert bench.wakes == 1
    assert bench.idleness.left_ms() == 100
    bench.idleness.rest()
    bench.idleness.look()
    assert bench.wakes == 1, "who has a limit looks again by itself"


def test_who_waits_for_nothing_is_woken_by_a_new_split() -> None:
    bench = Bench()
    bench.idleness.look()
    assert bench.idleness.left_ms() is None
    bench.idleness.hear("a")
    assert bench.wakes == 1


def test_nobody_is_woken_for_records_that_come_all_the_time() -> None:
    """A wake per batch would cost a switch of threads each."""
    bench = Bench()
    assert bench.idleness.left_ms() is None
    for _ in range(10):
        bench.idleness.rest()
        bench.idleness.hear("a")
    assert bench.wakes == 0
    bench.idleness.forget("a")
    assert bench.idleness.take_due() == []


def test_it_is_to_be_looked_at_when_the_first_of_several_splits_is_due() -> None:
    """Not when the last is: the first would be idle that much too late."""
    bench = Bench()
    bench.idleness.hear("a")
    bench.idleness.look()
    bench.pass_ms(90)
    bench.idleness.hear("b")
    assert bench.idleness.left_ms() == 10
    bench.pass_ms(10)
    assert bench.idleness.take_due() == ["a"]
    assert bench.idleness.left_ms() == 90


def test_a_split_that_was_due_counts_again_once_it_is_heard() -> None:
    bench = Bench()
    bench.idleness.hear("a")
    bench.idleness.look()
    bench.pass_ms(100)
    assert bench.idleness.take_due() == ["a"]
    assert not bench.idleness.counts("a")
    bench.pass_ms(50)
    bench.idleness.hear("a")
    assert bench.idleness.counts("a")
    bench.pass_ms(99)
    assert bench.idleness.take_due() == []
    bench.pass_ms(1)
    assert bench.idleness.take_due() == ["a"]
