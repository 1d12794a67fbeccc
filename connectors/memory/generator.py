"""A source that calls a function for each record, as fast as wanted or at a steady rate."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar, cast

from pipeline.core.clock import Clock, SystemClock
from pipeline.core.errors import ConfigError, UserFunctionError
from pipeline.core.functions import function_ref
from pipeline.core.job import JobMode
from pipeline.core.records import Origin, OriginRange
from pipeline.spi.connector_config import ConnectorConfig
from pipeline.spi.source import JsonLike, Polled, PollingSource, SourceInfo

T = TypeVar("T")

SPLIT = "generator"


class GeneratorSource(PollingSource[T]):
    """Emits `fn(0)`, `fn(1)`, … .

    Args:
        fn: makes the record of an index; called again for the same index after a failure.
        rate: records per second; record i of an attempt is due i/rate seconds after its start, and
            one that demand has held back comes as soon as it is wanted. None for no limit.
        count: how many records there are; None for no end, which makes the job STREAMING.
        clock: where the time for `rate` comes from.

    Raises:
        ConfigError: `rate` or `count` is out of range.
        UserFunctionError: `fn` raised; it names the index.

    Example:
        >>> GeneratorSource(lambda i: i * i, count=3).estimated_records()
        3
    """

    def __init__(
        self,
        fn: Callable[[int], T],
        rate: float | None = None,
        count: int | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        if rate is not None and not rate > 0:
            raise ConfigError(f"GeneratorSource: rate must be above 0 records/s, not {rate}")
        if count is not None and count < 0:
            raise ConfigError(f"GeneratorSource: count must be at least 0, not {count}")
        self._fn = fn
        self._rate = rate
        self._count = count
        self._clock = clock or SystemClock()
        self._wake = threading.Condition()
        self._cancelled = False
        self._first = self._next = self._started_ms = 0

    @property
    def info(self) -> SourceInfo:
        mode = JobMode.STREAMING if self._count is None else JobMode.BATCH_ROLLER
        return SourceInfo("generator", function_ref(self._fn).name, mode, durable=False)

    def to_config(self) -> ConnectorConfig:
        return ConnectorConfig.of("generator", {"fn": self._fn, "rate": self._rate, "count": self._count})

    def seek(self, position: JsonLike) -> None:
        self._next = cast("int | None", position) or 0
        self._first = self._next
        self._started_ms = self._clock.monotonic_ms()

    def poll(self, demand: int) -> Polled[T] | None:
        first = self._next
        if self._count is not None:
            demand = min(demand, self._count - first)
        if demand <= 0:
            return None
        if self._rate is not None:
            demand = min(demand, self._wait_until_due(self._rate))
        values: list[T] = []
        try:
            values.extend(map(self._fn, range(first, first + demand)))
        except Exception as error:
            # what was made before the failing call is in the list, so its length names that call
            raise self._failed(first + len(values), error) from error
        self._next = first + len(values)
        return Polled(values, self._next, origins=OriginRange(SPLIT, first, len(values)))

    def cancel(self) -> None:
        with self._wake:
            self._cancelled = True
            self._wake.notify_all()

    def estimated_records(self) -> int | None:
        return self._count

    def _wait_until_due(self, rate: float) -> int:
        """Wait for the next record's time; return how many are due, 0 once cancelled."""
        done = self._next - self._first
        with self._wake:
            while not self._cancelled:
                passed_ms = self._clock.monotonic_ms() - self._started_ms
                due = int(passed_ms * rate / 1000) + 1 - done
                if due > 0:
                    return due
                self._clock.wait(self._wake, int(done * 1000 / rate) + 1 - passed_ms)
        return 0

    def _failed(self, index: int, error: Exception) -> UserFunctionError:
        function = str(function_ref(self._fn))
        return UserFunctionError(
            f"the function of a GeneratorSource raised {type(error).__name__}: {error}"
        ).located(function=function, position=str(Origin(SPLIT, index)))
