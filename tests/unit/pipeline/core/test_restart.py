"""Restart strategies: whether and after how long a failed job starts again."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import ConfigError, Fenced, PipelineError, SourceError, UserFunctionError
from pipeline.core.restart import RestartStrategy
from pipeline.testing.clock import ManualClock

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class FailingJob:
    """A job that fails again and again, on a clock moved by hand: healthy for a while, then down."""

    def __init__(self, strategy: RestartStrategy, seed: int = 0) -> None:
        self._clock = ManualClock()
        self._decider = strategy.decider(random.Random(seed))

    def fail_after(self, healthy: timedelta = timedelta(), *, progressed: bool = False) -> int | None:
        """Run for `healthy`, fail, and wait as long as the strategy says; return that wait."""
        began = self._clock.monotonic_ms()
        self._clock.advance(healthy)
        failed = self._clock.monotonic_ms()
        delay = self._decider.next_delay_ms(failed, failed - began, progressed=progressed)
        if delay is not None:
            self._clock.advance(timedelta(milliseconds=delay))
        return delay

    def fail(self, times: int) -> list[int | None]:
        return [self.fail_after() for _ in range(times)]


def steady(**settings: Any) -> RestartStrategy:
    return RestartStrategy.exponential(jitter=0, **settings)


def test_none_never_restarts() -> None:
    assert FailingJob(RestartStrategy.none()).fail(2) == [None, None]


def test_fixed_delay_counts_its_attempts() -> None:
    """However long the job was healthy in between: failing once a day, it fails permanently on the fourth."""
    job = FailingJob(RestartStrategy.fixed_delay(3, 2 * SECOND))
    assert [job.fail_after(24 * HOUR) for _ in range(5)] == [2000, 2000, 2000, None, None]


def test_progress_begins_the_count_again() -> None:
    """A query that its server ends every half hour, after many checkpoints, must come to its end."""
    job = FailingJob(RestartStrategy.fixed_delay(2, SECOND))
    assert [job.fail_after(progressed=True) for _ in range(9)] == [1000] * 9
    assert job.fail(2) == [1000, None]
    job = FailingJob(steady(initial=SECOND, attempts=2))
    assert [job.fail_after(progressed=True) for _ in range(4)] == [1000, 2000, 4000, 8000]
    assert job.fail(2) == [16_000, None]


def test_a_rate_of_failures_counts_them_with_progress_too() -> None:
    job = FailingJob(RestartStrategy.failure_rate(2, HOUR, SECOND))
    assert [job.fail_after(progressed=True) for _ in range(3)] == [1000, 1000, None]


def caused(error: PipelineError, cause: Exception) -> PipelineError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (SourceError("gone"), True),
        (caused(UserFunctionError("f raised"), ConnectionResetError()), True),
        (caused(SourceError("s raised", retryable=False), TimeoutError()), True),
        (caused(UserFunctionError("f raised"), caused_by := ValueError("bad")), False),
        (caused(UserFunctionError("f raised", retryable=True), caused_by), True),
        (caused(ConfigError("wrong"), ConnectionError()), False),
        (caused(Fenced("another run"), ConnectionError()), False),
    ],
)
def test_a_restart_helps_where_the_error_or_the_strategy_says_so(error: PipelineError, helps: bool) -> None:
    strategy = RestartStrategy.fixed_delay(retry_on=(ConnectionError, TimeoutError))
    assert strategy.helps(error) is helps
    assert RestartStrategy.exponential(retry_on=ConnectionError).retry_on == (ConnectionError,)


@pytest.mark.parametrize("given", ["ConnectionError", (1,), (KeyboardInterrupt,)])
def test_what_is_not_an_exception_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match="failure_rate: retry_on must list exception classes, not"):
        RestartStrategy.failure_rate(retry_on=given)


def test_each_run_counts_for_itself() -> None:
    strategy = RestartStrategy.fixed_delay(1)
    assert FailingJob(strategy).fail(2) == [5000, None]
    assert FailingJob(strategy).fail(2) == [5000, None]


def test_exponential_doubles_up_to_its_maximum() -> None:
    job = FailingJob(steady(initial=SECOND, maximum=timedelta(seconds=10)))
    assert job.fail(6) == [1000, 2000, 4000, 8000, 10_000, 10_000]


@pytest.mark.parametrize("multiplier", [1.05, 1e6, float("inf")])
def test_exponential_reaches_its_maximum_at_any_pace(multiplier: float) -> None:
    """Neither a slow growth is cut short nor does a fast one overflow."""
    delays = FailingJob(steady(maximum=timedelta(minutes=5), multiplier=multiplier)).fail(400)
    assert delays[-1] == 300_000


def test_a_constant_exponential_never_grows() -> None:
    assert set(FailingJob(steady(multiplier=1)).fail(100)) == {1000}


def test_a_quiet_time_starts_exponential_over() -> None:
    """Exactly `reset_after` is quiet enough, one millisecond less is not; the wait itself does not count."""
    job = FailingJob(steady(initial=SECOND, reset_after=HOUR))
    assert job.fail(3) == [1000, 2000, 4000]
    assert job.fail_after(HOUR - timedelta(milliseconds=1)) == 8000
    assert job.fail_after(HOUR) == 1000
    assert job.fail(2) == [2000, 4000]


def test_exponential_may_have_a_last_attempt() -> None:
    """It counts failures since the last quiet time."""
    job = FailingJob(steady(attempts=2, reset_after=HOUR))
    assert job.fail(2) == [1000, 2000]
    assert job.fail_after(HOUR) == 1000
    assert job.fail(3) == [2000, None, None]


@given(st.integers(), st.floats(0, 1))
def test_jitter_stays_within_its_share_and_below_the_maximum(seed: int, jitter: float) -> None:
    strategy = RestartStrategy.exponential(SECOND, 10 * SECOND, jitter=jitter)
    delays = FailingJob(strategy, seed).fail(8)
    for delay, planned in zip(delays, [1000, 2000, 4000, 8000, *[10_000] * 4], strict=True):
        assert delay is not None
        assert round(planned * (1 - jitter)) <= delay <= min(round(planned * (1 + jitter)), 10_000)


def test_jitter_spreads_to_both_sides() -> None:
    """Many jobs that fail together do not come back together."""
    first = [FailingJob(RestartStrategy.exponential(jitter=0.5), seed).fail(1)[0] or 0 for seed in range(100)]
    assert min(first) < 750
    assert max(first) > 1250


def test_failure_rate_gives_up_when_failures_come_too_close() -> None:
    """Two a minute are bearable, the third within a minute is not."""
    job = FailingJob(RestartStrategy.failure_rate(2, timedelta(minutes=1), SECOND))
    assert job.fail(3) == [1000, 1000, None]


def test_failure_rate_forgets_what_is_long_ago() -> None:
    """A failure leaves the window after exactly `per`; so a steady rate continues for ever."""
    job = FailingJob(RestartStrategy.failure_rate(1, timedelta(minutes=1), SECOND))
    assert [job.fail_after(timedelta(seconds=59)) for _ in range(5)] == [1000] * 5
    assert job.fail_after(timedelta(seconds=58, milliseconds=999)) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RestartStrategy.fixed_delay(0), "fixed_delay: attempts must be at least 1, not 0"),
        (
            lambda: RestartStrategy.fixed_delay(1, -SECOND),
            "fixed_delay: delay must be at least 0 ms, not -1000 ms",
        ),
        (
            lambda: RestartStrategy.fixed_delay(1, 5),  # pyright: ignore[reportArgumentType]
            "fixed_delay: delay must be a timedelta, not 5",
        ),
        (lambda: steady(multiplier=0.5), "exponential: multiplier must be at least 1, not 0.5"),
        (lambda: steady(multiplier=float("nan")), "exponential: multiplier must be at least 1, not nan"),
        (
            lambda: RestartStrategy.exponential(jitter=1.1),
            "exponential: jitter must be between 0 and 1, not 1.1",
        ),
        (lambda: steady(attempts=-1), "exponential: attempts must be at least 0, not -1"),
        (lambda: steady(initial=timedelta()), "exponential: initial must be at least 1 ms, not 0 ms"),
        (lambda: steady(maximum=timedelta()), "exponential: maximum must be at least 1 ms, not 0 ms"),
        (lambda: steady(reset_after=-SECOND), "exponential: reset_after must be at least 0 ms, not -1000 ms"),
        (lambda: RestartStrategy.failure_rate(0), "failure_rate: failures must be at least 1, not 0"),
        (
            lambda: RestartStrategy.failure_rate(per=timedelta()),
            "failure_rate: per must be at least 1 ms, not 0 ms",
        ),
        (
            lambda: RestartStrategy.failure_rate(delay=-SECOND),
            "failure_rate: delay must be at least 0 ms, not -1000 ms",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], RestartStrategy], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        make()
    assert str(raised.value).partition(" — ")[0] == message


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        (RestartStrategy.none(), "none"),
        (RestartStrategy.fixed_delay(), "fixed delay: 3 attempts, 5 s apart"),
        (RestartStrategy.exponential(), "exponential: 1 s to 300 s"),
        (RestartStrategy.exponential(attempts=4), "exponential: 1 s to 300 s, at most 4"),
        (RestartStrategy.failure_rate(2), "failure rate: 2 per 60 s"),
    ],
)
def test_a_strategy_reads_well(strategy: RestartStrategy, words: str) -> None:
    assert strategy.describe() == words
