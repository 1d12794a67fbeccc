"""Timers: of keys and of the operator, in event time and by the clock, each called once and in order."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.errors import InternalError
from pipeline.core.records import Batch
from pipeline.operators.timers import CHUNK, TimerQueue
from pipeline.spi.operator import DueTimers, OperatorContext, StreamOperator
from pipeline.testing import ManualClock, OperatorHarness
from state.keys import key_groups, subtask_of

Command = tuple[Any, ...]


class Reminders(StreamOperator[Command, Any]):
    """Does what its records say: `(set or delete, key, instant, name)`; emits what is due."""

    expands = True
    keyed_timers = True

    def __init__(self, *, wall: bool = False, again: int | None = None) -> None:
        self._wall = wall
        self._again = again
        self.calls = 0

    def open(self, ctx: OperatorContext) -> None:
        self._timers = ctx.wall_timers if self._wall else ctx.event_timers

    def process_batch(self, batch: Batch[Command], input_index: int) -> Batch[Any]:
        for do, *timer in batch.values:
            (self._timers.register if do == "set" else self._timers.delete)(*timer)
        return Batch(())

    def process_timers(self, due: DueTimers) -> Batch[Any]:
        self.calls += 1
        if self._again is not None:
            for key in due.keys:
                self._timers.register(key, due.timestamp + self._again, due.name)
        return Batch([(due.timestamp, due.name, key) for key in due.keys])


def test_timers_are_called_in_the_order_of_their_instants_before_the_watermark_continues() -> None:
    with OperatorHarness(Reminders()) as harness:
        harness.process([("set", "b", 30), ("set", "a", 10), ("set", "a", 20), ("set", "c", 10)])
        assert harness.watermark(9) == []
        assert harness.watermark(25) == [(10, "", "a"), (10, "", "c"), (20, "", "a")]
        assert harness.watermark(29) == []
        assert harness.watermark(30) == [(30, "", "b")]


def test_a_timer_is_one_by_key_instant_and_name() -> None:
    """SEMANTICS B5: timers are de-duplicated."""
    with OperatorHarness(Reminders()) as harness:
        timers = [("set", "a", 10, "x"), ("set", "a", 10, "x"), ("set", "a", 10, "y"), ("set", 1, 10, "x")]
        harness.process([*timers, ("set", True, 10, "x")])
        assert harness.watermark(10) == [(10, "x", "a"), (10, "x", 1), (10, "x", True), (10, "y", "a")]
        assert harness.watermark(10) == harness.finish() == []


def test_a_timer_can_be_taken_back_and_set_again() -> None:
    with OperatorHarness(Reminders()) as harness:
        harness.process([("set", "a", 10), ("set", "b", 10), ("delete", "a", 10), ("delete", "x", 99)])
        harness.process([("set", "c", 20), ("delete", "c", 20), ("set", "d", 30), ("delete", "d", 30)])
        harness.process([("set", "d", 30)])
        assert harness.watermark(30) == [(10, "", "b"), (30, "", "d")]


def test_timers_that_were_taken_back_take_no_memory() -> None:
    """A timeout for each record, taken back by the next one: the usual case."""
    queue = TimerQueue(by_clock=False)
    with OperatorHarness(Reminders()) as harness:
        for instant in range(10_000):
            harness.process([("set", "a", 10**9 + instant), ("delete", "a", 10**9 + instant)])
        assert harness.keyed_state.size_bytes() == 0
        queue = harness._ctx.timers.event
        assert len(queue._queue) < 3000
        assert len(queue._queued) < 3000
        harness.process([("set", "a", 5)])
        assert harness.finish() == [(5, "", "a")]


def test_one_for_an_instant_that_has_passed_is_called_when_time_moves_on() -> None:
    with OperatorHarness(Reminders()) as harness:
        harness.watermark(100)
        harness.process([("set", "a", 10)])
        assert harness.watermark(101) == [(10, "", "a")]


@pytest.mark.parametrize("again", [0, -5])
def test_one_that_sets_itself_for_now_or_before_does_not_stop_time(again: int) -> None:
    with OperatorHarness(Reminders(again=again)) as harness:
        harness.process([("set", "a", 10)])
        assert harness.watermark(10) == [(10, "", "a")]
        assert harness.watermark(11) == [(10 + again, "", "a")]


def test_one_that_sets_itself_for_later_is_called_as_often_as_time_has_passed() -> None:
    """At the end of the input only what waited then: else it would never end."""
    with OperatorHarness(Reminders(again=10)) as harness:
        harness.process([("set", "a", 10)])
        assert [at for at, *_ in harness.watermark(45)] == [10, 20, 30, 40]
        assert harness.finish() == [(50, "", "a")]


def test_a_million_at_once_come_in_pieces() -> None:
    operator = Reminders()
    with OperatorHarness(operator) as harness:
        count = 3 * CHUNK + 1
        harness.process([("set", number, 10) for number in range(count)])
        assert [key for *_, key in harness.watermark(10)] == list(range(count))
        assert operator.calls == 4


def test_timers_of_the_clock() -> None:
    clock = ManualClock(start_ms=5)
    with OperatorHarness(Reminders(wall=True), clock=clock) as harness:
        harness.process([("set", "a", 20), ("set", "b", 10)])
        assert harness.watermark(1000) == []
        assert harness.next_timer == 10
        clock.advance(timedelta(milliseconds=5))
        assert harness.fire_timers() == [(10, "", "b")]
        assert harness.next_timer == 20
        clock.advance(timedelta(milliseconds=100))
        assert harness.process([("set", "c", 50)]) == [(20, "", "a")], "what is due goes before"
        assert harness.fire_timers() == [(50, "", "c")]


@pytest.mark.parametrize("wall", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_a_snapshot_carries_the_timers_to_another_parallelism(seed: int, wall: bool) -> None:
    """Each is called once: before it, or after it by the subtask that owns the key then."""
    rng = random.Random(seed)
    before, after = rng.choice([1, 2, 3]), rng.choice([1, 2, 3])
    timers = {(f"k{rng.randrange(20)}", rng.randrange(100), rng.choice("xy")) for _ in range(60)}
    cut = rng.randrange(100)
    fired: list[Any] = []
    snapshots: list[Any] = []
    for parallelism, reached, snapshot in ((before, cut, ()), (after, 100, snapshots)):
        for subtask in range(parallelism):
            clock = ManualClock()
            operator = Reminders(wall=wall)
            with OperatorHarness(
                operator, clock=clock, restore=snapshot, subtask=subtask, parallelism=parallelism
            ) as harness:
                own = [each for each in timers if owner(each[0], parallelism) == subtask]
                if not snapshot:
                    harness.process([("set", *timer) for timer in own])
                clock.advance(timedelta(milliseconds=reached))
                called = harness.fire_timers() if wall else harness.watermark(reached)
                assert called == sorted(called, key=lambda timer: timer[:2])
                fired += called
                if not snapshot:
                    snapshots.append(harness.snapshot())
        snapshots = snapshots[:before]
    assert sorted(fired) == sorted((at, name, key) for key, at, name in timers)


def owner(key: str, parallelism: int) -> int:
    return subtask_of(key_groups([key], 128)[0], parallelism, 128)


def test_an_operators_own_timers_are_named_by_what_it_likes() -> None:
    called: list[DueTimers] = []
    queue = TimerQueue(by_clock=True)
    for at, name in ((20, (1, 2)), (10, (5, 9)), (10, (0, 9)), (10, (0, 9))):
        queue.call_at(at, name)
    assert queue.next == 10
    queue.fire(15, called.append)
    assert called == [DueTimers(10, (0, 9), (), True), DueTimers(10, (5, 9), (), True)]
    assert queue.next == 20


def test_an_operator_that_has_no_keyed_timers_cannot_set_one() -> None:
    with pytest.raises(InternalError, match="keyed_timers = True"):
        TimerQueue(by_clock=False).register("a", 1)
