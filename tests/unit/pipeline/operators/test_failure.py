"""Failures and Survivors: one policy for one call, and what is left of a batch stays aligned."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.clock import SystemClock
from pipeline.core.errors import UserFunctionError
from pipeline.core.policy import DEAD_LETTERS, ErrorPolicy
from pipeline.core.records import Batch, DeadLetter, Origin, OriginRange
from pipeline.operators.failure import DROPPED, Failures, Survivors
from pipeline.testing.harness import HarnessContext
from state.memory import MemoryStateBackendFactory

from .conftest import parity

CLOCK = SystemClock()
ERROR = ValueError("bad 2")


@pytest.fixture
def ctx() -> HarnessContext:
    return HarnessContext(
        "op", 0, 1, CLOCK, MemoryStateBackendFactory().create("op", range(128), 128), event_time=True
    )


def refuse() -> None:
    raise ERROR


def stop() -> None:
    raise KeyboardInterrupt


def test_a_skipped_record_is_counted(ctx: HarnessContext) -> None:
    assert Failures(parity, ErrorPolicy.skip(), "op", ctx).recover(ERROR, refuse, 2, None) is DROPPED
    assert (ctx.counters["failed"], ctx.sides) == (1, {})


def test_a_dead_letter_is_sent_and_counted(ctx: HarnessContext) -> None:
    failures = Failures(parity, ErrorPolicy.dead_letter(), "op", ctx)
    assert failures.recover(KeyError(), refuse, 2, Origin("f", 7)) is DROPPED
    (letter,) = ctx.sides[DEAD_LETTERS]
    assert isinstance(letter, DeadLetter)
    assert (letter.value, letter.error, letter.operator, letter.origin) == (
        2,
        "KeyError",
        "op",
        Origin("f", 7),
    )
    assert ctx.counters["failed"] == 1


def test_what_is_not_an_error_is_not_recovered_from(ctx: HarnessContext) -> None:
    """An interrupt during a repetition leaves at once, whatever the policy."""
    failures = Failures(parity, ErrorPolicy.retry(3, then=ErrorPolicy.skip()), "op", ctx)
    with pytest.raises(KeyboardInterrupt):
        failures.recover(ERROR, stop, 2, None)
    assert (len(ctx.pauses), ctx.counters["failed"]) == (1, 0)


def test_a_cancelled_pause_ends_the_repetitions(ctx: HarnessContext) -> None:
    """What the pause raises goes up: nothing is counted, nothing dead-lettered."""

    class Interrupted(Exception):
        pass

    def pause(delay: timedelta) -> None:
        raise Interrupted

    ctx.pause = pause
    failures = Failures(parity, ErrorPolicy.retry(3, then=ErrorPolicy.dead_letter()), "op", ctx)
    with pytest.raises(Interrupted):
        failures.recover(ERROR, lambda: 5, 2, None)
    assert (ctx.counters["failed"], ctx.sides) == (0, {})


@pytest.mark.parametrize("policy", [ErrorPolicy.retry(1), ErrorPolicy.fail()])
def test_failing_says_what_to_do(ctx: HarnessContext, policy: ErrorPolicy) -> None:
    with pytest.raises(UserFunctionError, match=r"^parity raised ValueError: bad 2") as raised:
        Failures(parity, policy, "op", ctx).recover(ERROR, refuse, 2, None)
    assert raised.value.hint is not None
    assert "on_error" in raised.value.hint
    assert raised.value.position is None
    assert (raised.value.retryable, raised.value.__cause__) == (False, ERROR)


@given(st.lists(st.booleans(), max_size=12))
def test_what_survives_keeps_its_timestamp_and_origin(good: list[bool]) -> None:
    """Whichever records are dropped, in whatever pattern, with no index kept in the loop."""
    ctx = HarnessContext(
        "op", 0, 1, CLOCK, MemoryStateBackendFactory().create("op", range(128), 128), event_time=True
    )
    failures = Failures(parity, ErrorPolicy.dead_letter(), "op", ctx)
    batch = Batch(range(len(good)), [10 * n for n in range(len(good))], OriginRange("f", 0, len(good)))
    survivors = Survivors(batch)
    results: list[int] = []
    for value in batch:
        if good[value]:
            assert survivors.origin(results) == Origin("f", value)
            results.append(-value)
        else:
            assert survivors.recover(failures, ERROR, refuse, results) is DROPPED
    for out, values in (
        (survivors.batch_of(results), results),
        (survivors.records(), [-value for value in results]),
    ):
        assert list(out) == values
        assert out.timestamps is not None
        assert out.origins is not None
        assert list(out.timestamps) == [-10 * value for value in results]
        assert list(out.origins) == [Origin("f", -value) for value in results]
    letters = ctx.sides.get(DEAD_LETTERS, [])
    assert [(letter.value, letter.origin) for letter in letters] == [
        (value, Origin("f", value)) for value, ok in enumerate(good) if not ok
    ]


@pytest.mark.parametrize("dropped", [False, True])
def test_what_a_batch_does_not_carry_it_does_not_get(ctx: HarnessContext, dropped: bool) -> None:
    survivors = Survivors(Batch([1, 2]))
    results: list[int] = []
    if dropped:
        survivors.recover(Failures(parity, ErrorPolicy.skip(), "op", ctx), ERROR, refuse, results)
    assert survivors.origin(results) is None
    out = survivors.records()
    assert (list(out), out.timestamps, out.origins) == ([2] if dropped else [1, 2], None, None)


def test_a_repetition_that_succeeds_is_not_a_loss(ctx: HarnessContext) -> None:
    answers: list[Callable[[], int]] = []

    def again() -> int:
        answers.append(again)
        if len(answers) < 2:
            raise ERROR
        return 5

    survivors = Survivors(Batch([1, 2]))
    failures = Failures(parity, ErrorPolicy.retry(2), "op", ctx)
    assert survivors.recover(failures, ERROR, again, []) == 5
    assert list(survivors.records()) == [1, 2]


def test_an_exception_that_cannot_say_what_is_wrong_is_the_users_still(ctx: HarnessContext) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise LookupError

    error = Failures(parity, ErrorPolicy.fail(), "op", ctx).error(Mute(), None)
    assert error.message == "parity raised Mute (its message cannot be shown: LookupError)"
