"""WatermarkStrategy: a description that is right before anything runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline.core.errors import ConfigError
from pipeline.windows.watermarks import WatermarkStrategy


def test_it_is_built_step_by_step_and_never_changed() -> None:
    plain = WatermarkStrategy.bounded_out_of_orderness(timedelta(seconds=1), timestamp=int)
    full = plain.with_idleness(timedelta(minutes=1)).emit_every(3)
    assert plain == WatermarkStrategy(int, 1000)
    assert full == WatermarkStrategy(int, 1000, 60_000, 3)
    assert full.describe() == "up to 1 s out of order, idle after 1 min, a watermark every 3 records"


def test_monotonic_is_a_bound_of_zero() -> None:
    strategy = WatermarkStrategy.monotonic(timestamp=int)
    assert strategy.bound_ms == 0
    assert strategy.describe() == "in order"


async def timestamp_async(value: Any) -> int:
    return value


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WatermarkStrategy.monotonic(timestamp=3), "must be a function"),  # pyright: ignore[reportArgumentType]
        (lambda: WatermarkStrategy.monotonic(timestamp=timestamp_async), "timestamp_async .* is async"),  # pyright: ignore[reportArgumentType]
        (
            lambda: WatermarkStrategy.bounded_out_of_orderness(timedelta(seconds=-1), timestamp=int),
            "at least 0 ms",
        ),
        (lambda: WatermarkStrategy.monotonic(timestamp=int).with_idleness(timedelta()), "idleness"),
        (lambda: WatermarkStrategy.monotonic(timestamp=int).emit_every(0), "at least 1, not 0"),
    ],
)
def test_strategies_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
