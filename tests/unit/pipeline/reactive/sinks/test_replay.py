"""Sinks.replay_…: each subscriber from the beginning, or from a little before it came."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from reactivex.scheduler import VirtualTimeScheduler

from pipeline.reactive import EmitResult, Sink, Sinks
from pipeline.testing import AssertSubscriber
from tests.racing import race


def heard(sink: Sink[Any], request: int = 100) -> AssertSubscriber[Any]:
    subscriber = AssertSubscriber[Any](request)
    sink.flux.subscribe(subscriber)
    return subscriber


def test_all_is_kept_for_those_that_come_later() -> None:
    sink = Sinks.replay_all()
    early = heard(sink)
    assert [sink.try_emit_next(n) for n in range(3)] == [EmitResult.OK] * 3
    late = heard(sink)
    sink.try_emit_next(3)
    early.assert_values(0, 1, 2, 3)
    late.assert_values(0, 1, 2, 3)
    sink.try_emit_complete()
    heard(sink).assert_values(0, 1, 2, 3).assert_complete()


def test_the_latest_is_kept() -> None:
    sink = Sinks.replay_latest()
    heard(sink).assert_no_values()
    for number in range(3):
        sink.try_emit_next(number)
    heard(sink).assert_values(2).assert_not_terminated()


def test_a_number_is_kept() -> None:
    sink = Sinks.replay_limit(2)
    for number in range(5):
        sink.try_emit_next(number)
    heard(sink).assert_values(3, 4)


def test_none_is_kept_that_is_too_old() -> None:
    scheduler = VirtualTimeScheduler()
    sink = Sinks.replay_limit(age=timedelta(seconds=10), scheduler=scheduler)
    for number in range(4):
        sink.try_emit_next(number)
        scheduler.advance_by(5)
    heard(sink).assert_values(3)
    scheduler.advance_by(5)
    heard(sink).assert_no_values()


def test_one_that_lags_behind_misses_nothing() -> None:
    """It reads on at its own pace what the sink has forgotten, and then the end."""
    sink = Sinks.replay_limit(1)
    slow = heard(sink, 0)
    for number in range(5):
        sink.try_emit_next(number)
    sink.try_emit_error(RuntimeError("boom"))
    for asked in range(1, 6):
        slow.assert_not_terminated()
        assert slow.request(1).values == list(range(asked))
    slow.assert_error(RuntimeError, "boom")


def test_what_is_forgotten_is_let_go_of() -> None:
    class Record:
        pass

    sink = Sinks.replay_latest()
    first = Record()
    reference = weakref.ref(first)
    sink.try_emit_next(first)
    sink.try_emit_next(Record())
    sink.try_emit_next(Record())
    del first
    gc.collect()
    assert reference() is None


def test_who_has_left_is_let_go_of() -> None:
    sink = Sinks.replay_all()
    subscriber = heard(sink)
    reference = weakref.ref(subscriber)
    subscriber.cancel()
    assert sink.subscribers == 0
    del subscriber
    gc.collect()
    assert reference() is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sinks.replay_limit(0),
        lambda: Sinks.replay_limit(age=timedelta(seconds=1)),
        lambda: Sinks.replay_limit(scheduler=VirtualTimeScheduler()),
    ],
)
def test_bounds_that_mean_nothing_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"limit must be|age and scheduler"):
        make()


def test_those_that_come_meanwhile_get_all_in_order() -> None:
    sink = Sinks.replay_all()
    subscribers: list[AssertSubscriber[Any]] = []

    def emit() -> None:
        for number in range(2_000):
            sink.emit_next(number)
        sink.emit_complete()

    def come() -> None:
        for _ in range(50):
            one = heard(sink, 0)
            subscribers.append(one)
            one.request(1_000)
            one.request(5_000)

    race(emit, come, come)
    for subscriber in subscribers:
        assert subscriber.assert_complete().assert_protocol().values == list(range(2_000))
