"""Assigners: each instant is in the windows it should be in, and in no other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.durations import describe_duration
from pipeline.core.errors import ConfigError
from pipeline.windows.assigners import (
    Panes,
    SlidingTimeWindows,
    TumblingTimeWindows,
    Window,
    WindowAssigner,
)

timestamps = st.integers(-(10**15), 10**15)
lengths = st.integers(1, 10**7)


def ms(count: int) -> timedelta:
    return timedelta(milliseconds=count)


@given(timestamps, lengths, st.data())
def test_tumbling_windows_divide_time(timestamp: int, size: int, data: st.DataObject) -> None:
    """One window holds an instant; its borders lie a whole number of sizes from the offset."""
    offset = data.draw(st.integers(1 - size, size - 1))
    (window,) = TumblingTimeWindows.of(ms(size), ms(offset)).assign(timestamp)
    assert window.start <= timestamp < window.end
    assert window.end - window.start == size
    assert (window.start - offset) % size == 0


@given(timestamps, st.integers(1, 1000), st.integers(1, 1000))
def test_sliding_windows_are_all_those_that_hold_an_instant(timestamp: int, one: int, other: int) -> None:
    """Compared with the definition: every multiple of the slide that is at most a size back."""
    size, slide = max(one, other), min(one, other)
    windows = SlidingTimeWindows.of(ms(size), ms(slide)).assign(timestamp)
    starts = [start for start in range(timestamp - size + 1, timestamp + 1) if start % slide == 0]
    assert windows == [Window(start, start + size) for start in starts]


def test_the_end_of_a_window_is_outside() -> None:
    """[start, end): a record on the border belongs to the later window (SEMANTICS B5)."""
    five = TumblingTimeWindows.of(timedelta(minutes=5))
    assert five.assign(299_999) == [Window(0, 300_000)]
    assert five.assign(300_000) == [Window(300_000, 600_000)]
    assert Window(0, 300_000).max_timestamp == 299_999


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TumblingTimeWindows.of(timedelta()), "size must be at least 1 ms"),
        (lambda: TumblingTimeWindows.of(5), "must be a timedelta, not 5"),  # pyright: ignore[reportArgumentType]
        (lambda: TumblingTimeWindows.of(timedelta(microseconds=1500)), "whole milliseconds"),
        (lambda: TumblingTimeWindows.of(ms(5), ms(5)), "offset must be smaller than its size"),
        (lambda: TumblingTimeWindows.of(ms(5), ms(-5)), "offset must be at least -4 ms"),
        (lambda: SlidingTimeWindows.of(ms(5), ms(6)), "slide must not exceed its size"),
        (lambda: SlidingTimeWindows.of(ms(5), ms(0)), "slide must be at least 1 ms"),
    ],
)
def test_windows_that_make_no_sense_are_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # pyright: ignore[reportCallIssue]


def test_they_describe_themselves() -> None:
    assert TumblingTimeWindows.of(timedelta(hours=24), timedelta(hours=-8)).describe() == (
        "tumbling 1 d, offset -8 h"
    )
    assert SlidingTimeWindows.of(timedelta(seconds=90), timedelta(minutes=1)).describe() == (
        "sliding 90 s every 1 min"
    )
    assert describe_duration(0) == "0 s"


@pytest.mark.parametrize(
    "assigner",
    [
        TumblingTimeWindows(10),
        TumblingTimeWindows(10, -3),
        SlidingTimeWindows(10, 5),
        SlidingTimeWindows(10, 4),
        SlidingTimeWindows(7, 3),
    ],
)
def test_all_instants_of_a_pane_are_in_the_same_windows(assigner: WindowAssigner) -> None:
    for timestamp in range(-50, 50):
        pane = assigner.panes.start(timestamp)
        assert pane <= timestamp < pane + assigner.panes.size
        assert assigner.assign(pane) == assigner.assign(timestamp)
        for window in assigner.assign(timestamp):
            assert assigner.has(window)
            assert not assigner.has(Window(window.start, window.end + 1))


@given(
    timestamps=st.lists(st.integers(-100, 100), min_size=1),
    size=st.integers(1, 30),
    offset=st.integers(-5, 5),
)
def test_a_division_has_every_timestamp_once_in_its_own_order(
    timestamps: list[int], size: int, offset: int
) -> None:
    panes = Panes(size, offset)
    for order in (timestamps, sorted(timestamps)):
        found: list[int] = []
        for start, part in panes.divide(order):
            indices = list(range(len(order)))[part] if isinstance(part, slice) else part
            assert indices == sorted(indices)
            assert {panes.start(order[index]) for index in indices} == {start}
            found += indices
        assert sorted(found) == list(range(len(order)))
