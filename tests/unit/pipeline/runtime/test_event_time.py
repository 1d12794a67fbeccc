"""Event time of several inputs: that of the slowest awake one, and never back."""

from __future__ import annotations

from pipeline.core.elements import BEGINNING, IDLE, Watermark
from pipeline.runtime.event_time import MergedTime


def test_the_slowest_leads() -> None:
    time = MergedTime("ab")
    assert time.advance("a", 10) == []
    assert time.advance("b", 5) == [Watermark(5)]
    assert time.advance("b", 20) == [Watermark(10)]
    assert time.advance("b", 15) == [], "an input does not go back"


def test_an_idle_input_holds_nothing_back() -> None:
    time = MergedTime("ab")
    time.advance("a", 10)
    assert time.fall_idle("b") == [Watermark(10)]
    assert time.advance("a", 11) == [Watermark(11)]


def test_one_that_comes_back_holds_event_time_but_does_not_turn_it_back() -> None:
    time = MergedTime("ab")
    time.fall_idle("b")
    time.advance("a", 10)
    assert time.advance("b", 3) == []
    assert time.advance("a", 50) == []
    assert time.advance("b", 20) == [Watermark(20)]


def test_one_that_wakes_with_an_older_time_has_come_as_far_as_before() -> None:
    """Else all would wait until it has come there once more."""
    time = MergedTime("ab")
    time.advance("a", 10)
    time.advance("b", 10)
    time.fall_idle("b")
    assert time.advance("b", 3) == []
    assert time.reached("b") == 10
    assert time.advance("a", 20) == []
    assert time.held_by == ("b", 10)


def test_once_all_that_are_left_are_idle_an_ended_one_counts_as_the_furthest() -> None:
    time = MergedTime("ab")
    time.advance("a", 10)
    time.advance("b", 5)
    time.end("a")
    assert time.fall_idle("b") == [Watermark(10), IDLE]


def test_once_all_are_idle_the_furthest_counts_whichever_fell_silent_first() -> None:
    for order in ("ab", "ba"):
        time = MergedTime("ab")
        time.advance("a", 10)
        time.advance("b", 5)
        told = [element for each in order for element in time.fall_idle(each)]
        assert (told[-1], time.timestamp) == (IDLE, 10)
        assert Watermark(10) in told


def test_the_first_that_wakes_is_reported_though_time_does_not_advance() -> None:
    """Who waits for the slowest of several must wait for this one again."""
    time = MergedTime("a")
    time.advance("a", 10)
    assert time.fall_idle("a") == [IDLE]
    assert time.fall_idle("a") == []
    assert time.advance("a", BEGINNING) == [Watermark(10)]
    assert time.advance("a", BEGINNING) == []


def test_an_input_that_has_ended_holds_nothing_back() -> None:
    time = MergedTime("ab")
    time.advance("a", 10)
    assert time.end("b") == [Watermark(10)]
    assert time.end("a") == [], "the end says all"


def test_a_new_input_is_waited_for() -> None:
    time = MergedTime("a")
    time.advance("a", 10)
    assert time.add("b") == []
    assert time.advance("a", 20) == []
    assert time.advance("b", 15) == [Watermark(15)]


def test_it_says_again_where_it_stands() -> None:
    time = MergedTime("a")
    assert time.now() == []
    time.restore(7)
    assert time.now() == [Watermark(7)]
    time.fall_idle("a")
    assert time.now() == [Watermark(7), IDLE]


def test_the_input_that_the_others_wait_for_is_named() -> None:
    """For those who see that no window fires: which split it is, and how far behind."""
    time = MergedTime("abc")
    assert time.held_by is None
    time.advance("a", 10)
    time.advance("b", 7)
    assert time.held_by == ("c", None), "it has said nothing yet"
    time.advance("c", 4)
    assert time.held_by == ("c", 6)
    time.fall_idle("c")
    assert time.held_by == ("b", 3)
    time.end("b")
    assert time.held_by is None
    time.fall_idle("a")
    assert (time.held_by, time.idle) == (None, True)


def test_one_that_no_longer_exists_holds_nothing_back() -> None:
    time = MergedTime("ab")
    time.advance("a", 10)
    assert time.remove("b") == [Watermark(10)]
