"""GeneratorSource: a function of the index, paced by a clock."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors import GeneratorSource
from pipeline.core.errors import ConfigError, UserFunctionError
from pipeline.core.job import JobMode
from pipeline.testing.clock import ManualClock
from pipeline.testing.connectors import SourceDriver


def identity(index: int) -> int:
    return index


def test_records_come_when_they_are_due() -> None:
    """Record i is due i/rate seconds after the start, and not a millisecond earlier."""
    clock = ManualClock()
    with SourceDriver(GeneratorSource(identity, rate=100), clock=clock) as driver:
        assert driver.take(1) == [0]
        driver.request(10)
        for due_ms, emitted in ((9, 1), (10, 2), (19, 2), (30, 4), (1000, 11)):
            clock.await_waiters()
            clock.advance(timedelta(milliseconds=due_ms - clock.monotonic_ms()))
            driver.wait_until_emitted(emitted)
            assert len(driver.emitted) == emitted


def test_a_wait_for_the_next_record_holds_up_neither_barrier_nor_cancel() -> None:
    """The wait is not under the checkpoint lock, and cancel ends it: no clock moves here."""
    clock = ManualClock()
    with SourceDriver(GeneratorSource(identity, rate=1), clock=clock) as driver:
        driver.take(1)
        driver.request(1)
        clock.await_waiters()
        assert driver.snapshot().emitted == 1
        driver.cancel()
        driver.join()
        assert driver.emitted == [0]


def test_the_pace_restarts_with_each_attempt() -> None:
    """A restored source does not hurry to make up for the time it was down."""
    with SourceDriver(GeneratorSource(identity, count=10)) as driver:
        driver.take(5)
        driver.wait_until_idle()
        snapshot = driver.snapshot()
    clock = ManualClock()
    clock.advance(timedelta(hours=1))
    with SourceDriver(GeneratorSource(identity, rate=1, count=10), snapshot, clock=clock) as driver:
        assert driver.take(1) == [5]
        driver.request(4)
        clock.await_waiters()
        assert driver.emitted == [5]


def test_a_function_that_raises_is_called_once_and_named() -> None:
    """The error has the function's place, the index and the cause."""
    called: list[int] = []

    def picky(index: int) -> int:
        called.append(index)
        return 10 // (3 - index)

    with pytest.raises(UserFunctionError) as caught, SourceDriver(GeneratorSource(picky)) as driver:
        driver.take(10)
    error = caught.value
    assert called == [0, 1, 2, 3]
    assert "ZeroDivisionError" in str(error)
    assert "picky (" in str(error.function)
    assert "test_generator.py" in str(error.function)
    assert error.position == "generator@3"


def test_without_a_count_it_is_a_stream() -> None:
    assert GeneratorSource(identity).info.mode is JobMode.STREAMING
    assert GeneratorSource(identity).estimated_records() is None
    bounded = GeneratorSource(identity, count=3)
    assert bounded.info.mode is JobMode.BATCH_ROLLER
    assert bounded.estimated_records() == 3


@pytest.mark.parametrize("arguments", [{"rate": 0}, {"rate": -1.0}, {"rate": float("nan")}, {"count": -1}])
def test_settings_out_of_range_are_refused(arguments) -> None:
    with pytest.raises(ConfigError, match=r"GeneratorSource: (rate|count) must be"):
        GeneratorSource(identity, **arguments)
