"""Event time of a source: timestamps, watermarks after records, splits, snapshots, what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.elements import IDLE, Watermark
from pipeline.core.policy import ErrorPolicy
from pipeline.core.records import Batch
from pipeline.operators.timestamps import Timestamps
from pipeline.runtime.contexts import Identity, VertexContext
from pipeline.runtime.source_time import SourceTime
from pipeline.testing import ManualClock
from pipeline.windows.watermarks import WatermarkStrategy
from state.encoding import from_json, to_json

BOUNDED = WatermarkStrategy.bounded_out_of_orderness(timedelta(milliseconds=10), timestamp=int)
OWN = WatermarkStrategy.monotonic()


def source(
    strategy: WatermarkStrategy = BOUNDED, clock: ManualClock | None = None, *, confirms_silence: bool = False
) -> SourceTime:
    clock = clock or ManualClock()
    ctx = VertexContext(Identity("job", "lineage", 1), 0, 1, clock)
    timestamps = Timestamps(strategy, "in", ctx, clock)
    return SourceTime(strategy, "in", timestamps, clock, lambda: None, confirms_silence=confirms_silence)


def fall_silent(time: SourceTime, clock: ManualClock, ms: int) -> None:
    """Let the source look for records in vain for so long."""
    assert time.idleness is not None
    time.idleness.look()
    clock.advance(timedelta(milliseconds=ms))


def emitted(time: SourceTime, values: Sequence[Any], split: str = "") -> list[Any]:
    """Timestamps of each batch that is emitted, and the control elements between them."""
    return [
        list(element.timestamps or ()) if isinstance(element, Batch) else element
        for element in time.stamped(Batch(values), split)
    ]


def test_a_watermark_is_a_bound_and_a_millisecond_behind_the_greatest() -> None:
    """One less: a record of the watermark's own timestamp would be late."""
    time = source()
    assert emitted(time, [100, 90]) == [[100, 90], Watermark(89)]
    assert emitted(time, [95]) == [[95]]
    assert emitted(time, [101]) == [[101], Watermark(90)]


def test_placed_by_count_it_cuts_batches_and_remembers_across_them() -> None:
    time = source(BOUNDED.emit_every(2))
    assert emitted(time, [100, 110, 120]) == [[100, 110], Watermark(99), [120]]
    assert emitted(time, [130, 140]) == [[130], Watermark(119), [140]]


def test_each_split_goes_by_itself() -> None:
    time = source()
    assert time.declare(["a", "b"]) == []
    assert emitted(time, [100], "a") == [[100]]
    assert emitted(time, [50], "b") == [[50], Watermark(39)]
    assert emitted(time, [200], "a") == [[200]]


def test_the_unnamed_split_is_forgotten_once_others_are_named() -> None:
    time = source()
    assert emitted(time, [100], "a") == [[100], Watermark(89)]
    assert set(time.snapshot()["splits"]) == {"a"}


def test_silence_lets_event_time_pass() -> None:
    clock = ManualClock()
    time = source(BOUNDED.with_idleness(timedelta(seconds=1)), clock)
    time.declare(["a", "b"])
    assert time.idleness is not None
    time.idleness.look()
    clock.advance(timedelta(milliseconds=500))
    assert emitted(time, [100], "a") == [[100]]
    clock.advance(timedelta(milliseconds=500))
    assert time.fall_idle() == [Watermark(89)]
    clock.advance(timedelta(milliseconds=500))
    assert time.fall_idle() == [IDLE]
    assert emitted(time, [20], "b") == [Watermark(89), [20]], "b is waited for before its records are seen"


def test_a_restored_source_is_where_it_was() -> None:
    """The slower split still leads, and the count continues."""
    strategy = BOUNDED.emit_every(2)
    time = source(strategy)
    time.declare(["a", "b", "c"])
    emitted(time, [100, 110, 120], "a")
    emitted(time, [50, 60], "b")
    again = source(strategy)
    again.restore(from_json(to_json(time.snapshot())))
    assert again.snapshot() == time.snapshot()
    assert emitted(again, [130], "a") == emitted(time, [130], "a")
    assert emitted(again, [5, 15], "c") == [[5, 15], Watermark(4)]


def test_no_split_is_restored_as_idle() -> None:
    """It may have got records while the job was down. Event time itself stays where it was."""
    clock = ManualClock()
    strategy = BOUNDED.with_idleness(timedelta(seconds=1))
    time = source(strategy, clock)
    time.declare(["a", "b"])
    emitted(time, [100], "a")
    fall_silent(time, clock, 1000)
    assert time.fall_idle() == [Watermark(89), IDLE]
    again = source(strategy, clock)
    again.restore(from_json(to_json(time.snapshot())))
    assert again.now() == [Watermark(89)]
    assert again.declare(["a", "b"]) == []
    assert emitted(again, [200], "a") == [[200]], "b is waited for"
    assert emitted(again, [150], "b") == [[150], Watermark(139)]
    fall_silent(again, clock, 1000)
    assert again.fall_idle() == [Watermark(189), IDLE]


def test_a_restored_split_that_is_not_declared_is_dropped_and_named(caplog: pytest.LogCaptureFixture) -> None:
    """It would hold event time back forever; one that is declared for the first time is waited for."""
    time = source()
    time.declare(["x", "y"])
    emitted(time, [100], "x")
    emitted(time, [50], "y")
    again = source()
    again.restore(from_json(to_json(time.snapshot())))
    assert again.declare(["x", "z"]) == []
    assert "in no longer reads y" in caplog.text
    assert emitted(again, [200], "x") == [[200]]
    assert emitted(again, [150], "z") == [[150], Watermark(139)]
    assert set(again.snapshot()["splits"]) == {"x", "z"}
    assert again.declare(["y"]) == [], "later calls only add"
    assert emitted(again, [300], "x") == [[300]]


def test_an_ended_split_holds_nothing_back_even_where_it_was_silent() -> None:
    clock = ManualClock()
    time = source(BOUNDED.with_idleness(timedelta(seconds=1)), clock)
    time.declare(["a", "b"])
    emitted(time, [100], "a")
    assert time.end(["b"]) == [Watermark(89)]
    assert emitted(time, [200], "a") == [[200], Watermark(189)]
    fall_silent(time, clock, 1000)
    assert time.fall_idle() == [IDLE], "only what may still emit falls silent"


def test_silence_is_nothing_until_the_source_has_confirmed_it() -> None:
    """A broker that hangs, or has not answered yet, is silent as well."""
    clock = ManualClock()
    time = source(BOUNDED.with_idleness(timedelta(seconds=1)), clock, confirms_silence=True)
    time.declare(["a", "b"])
    emitted(time, [100], "a")
    fall_silent(time, clock, 1000)
    assert (time.fall_idle(), time.left_ms()) == ([], None)
    assert sorted(time.silent()) == ["a", "b"]
    assert time.silent() == []
    assert time.settle_silence("b", pending=True) == []
    clock.advance(timedelta(milliseconds=999))
    assert time.silent() == []
    clock.advance(timedelta(milliseconds=1))
    assert time.silent() == ["b"]
    assert time.settle_silence("b", pending=False) == [Watermark(89)]
    assert emitted(time, [200], "a") == [[200], Watermark(189)]


def test_a_split_that_emitted_since_it_was_asked_about_is_not_idle() -> None:
    """The answer to the question is older than its records."""
    clock = ManualClock()
    time = source(BOUNDED.with_idleness(timedelta(seconds=1)), clock, confirms_silence=True)
    time.declare(["a", "b"])
    fall_silent(time, clock, 1000)
    assert sorted(time.silent()) == ["a", "b"]
    emitted(time, [100], "a")
    emitted(time, [50], "b")
    assert time.settle_silence("b", pending=False) == []
    assert emitted(time, [200], "a") == [[200]]


def test_a_timestamp_far_ahead_of_the_clock_moves_nothing() -> None:
    """FAULTS: one record of next year would make all that follow late."""
    time = source(BOUNDED.with_max_ahead(timedelta(milliseconds=50)), ManualClock(start_ms=1000))
    assert emitted(time, [900, 1051]) == [[900, 1051], Watermark(889)]
    assert emitted(time, [5000]) == [[5000]]
    assert emitted(time, [1050]) == [[1050], Watermark(1039)]


@pytest.mark.parametrize("strategy", [BOUNDED, BOUNDED.emit_every(2)])
def test_a_split_whose_records_have_no_time_is_not_silent(strategy: WatermarkStrategy) -> None:
    """They are skipped, and event time stays; the split is known and has emitted."""
    skipping = replace(strategy, on_error=ErrorPolicy.skip()).with_idleness(timedelta(seconds=1))
    clock = ManualClock()
    time = source(skipping, clock)
    time.declare(["a"])
    fall_silent(time, clock, 999)
    assert emitted(time, ["x", "y"], "a") == []
    clock.advance(timedelta(milliseconds=999))
    assert time.fall_idle() == []
    assert emitted(time, [100, "x", 110], "a")[0] == [100, 110]
