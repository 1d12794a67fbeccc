"""The backpressure harness: what it plays, and that it sees a broken promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.backpressure.parts import Seen
from benchmarks.backpressure.promises import growth_mb, promises
from benchmarks.backpressure.run import Run, Spec, play
from benchmarks.backpressure.scenario import BUFFER_SIZE, CONTRAST, SCENARIOS, STRATEGIES


def sample(at: float, **values: Any) -> dict[str, Any]:
    plain = {"offered": 10, "delivered": 4, "dropped": 0, "buffered": 6, "rss": 30.0, "demand": None}
    return {"at": at, **plain, **values}


def broken(run: Run) -> list[str]:
    return [promise.text for promise in promises(run) if not promise.kept]


class TestScenarios:
    def test_an_even_stream_is_offered_one_by_one(self) -> None:
        even = SCENARIOS["10x"]
        assert [even.due(elapsed) for elapsed in (0, 0.001, 1)] == [1, 2, 1001]
        assert even.next_due(5) == 0.005

    def test_a_burst_comes_at_once(self) -> None:
        bursts = SCENARIOS["bursts"]
        assert [bursts.due(elapsed) for elapsed in (0, 0.9, 1)] == [1000, 1000, 2000]
        assert bursts.next_due(1000) == 1

    def test_a_stall_has_an_end(self) -> None:
        stall = SCENARIOS["stall"]
        assert [stall.stalled_until(elapsed, 4) for elapsed in (0.9, 1, 2.9, 3)] == [None, 3, 3, None]


class TestPromises:
    def test_a_lost_record_is_seen(self) -> None:
        run = Run("DROP", "10x", 1, [sample(0)], offered=1001, delivered=500, dropped=500, buffered=1)
        assert broken(run) == []
        assert broken(replace(run, dropped=499)) == ["in = out + dropped + buffered"]

    def test_a_dropped_record_is_seen_where_nothing_may_be(self) -> None:
        run = Run("BUFFER", "10x", 1, [sample(0)], offered=10, delivered=10)
        assert broken(run) == []
        assert broken(replace(run, delivered=9, dropped=1, gaps=1)) == [
            "nothing is dropped",
            "each exactly once, in order",
        ]

    def test_a_buffer_above_its_bound_is_seen(self) -> None:
        run = Run("ERROR", "10x", 1, [sample(0, buffered=BUFFER_SIZE + 1)], overflows=1)
        assert broken(run) == [f"at most {BUFFER_SIZE} buffered"]

    def test_old_records_are_seen(self) -> None:
        run = Run("LATEST", "100x", 1, [sample(0, buffered=1)], offered=10_001, delivered=10_001)
        assert broken(replace(run, ages_ms={"p99": 19.0})) == []
        assert broken(replace(run, ages_ms={"p99": 21.0})) == ["p99 of ages at most 2 sink periods, 20 ms"]

    def test_memory_is_held_against_its_level_after_five_seconds(self) -> None:
        grown = [sample(0, rss=10.0), sample(5, rss=30.0), sample(10, rss=47.0)]
        run = Run("BUFFER", "10x", 10, grown)
        assert growth_mb(run) == 17
        assert broken(run) == ["memory at most 16 MB above its level at 5 s"]
        assert growth_mb(replace(run, seconds=9)) is None

    def test_a_failed_or_slow_checkpoint_is_seen(self) -> None:
        run = Run("BUFFER", "10x", 1, failed_checkpoints=1, checkpoint_s=[0.1, 3.5])
        assert broken(run) == ["every checkpoint completes", "a checkpoint takes at most 3 s"]

    def test_plain_reactivex_promises_nothing(self) -> None:
        assert promises(Run(CONTRAST, "10x", 1, offered=10)) == []


def test_gaps_are_counted_below_the_greatest() -> None:
    """Also where a restart has begun at an earlier record again."""
    seen = Seen()
    for number in (0, 1, 3, 5, 1, 2):
        seen.note(number, 0)
    assert (seen.gaps, seen.backwards, seen.delivered) == (1, 1, 6)


@pytest.mark.parametrize("subject", [*STRATEGIES, CONTRAST])
def test_every_subject_plays(subject: str) -> None:
    run = play(Spec(subject, "100x", seconds=0.3, checkpoint_every=1))
    assert run.failure is None
    assert run.samples
    if subject not in ("ERROR", CONTRAST):  # the one begins again, the other is left in the midst
        assert run.offered == run.delivered + run.dropped + run.buffered
