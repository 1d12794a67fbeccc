"""A source that calls a function for each record, as fast as requested or at a steady rate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from math import ceil
from typing import TypeVar, cast

from pipeline.core.errors import ConfigError, UserFunctionError
from pipeline.core.functions import function_ref
from pipeline.core.job import JobMode
from pipeline.core.records import Origin, OriginRange
from pipeline.spi.connector_config import ConnectorConfig
from pipeline.spi.source import JsonLike, Polled, PollingSource, SourceContext, SourceInfo

T = TypeVar("T")

SPLIT = "generator"


class GeneratorSource(PollingSource[T]):
    """Emits `fn(0)`, `fn(1)`, … .

    Args:
        fn: makes the record of an index; called again for the same index after a failure.
        rate: records per second; record i of an attempt is due i/rate seconds after its start, and
            one that demand has held back comes as soon as it is wanted. None for no limit.
        count: how many records there are; None for no end, which makes the job STREAMING.

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
    ) -> None:
        if rate is not None and not rate > 0:
            raise ConfigError(f"GeneratorSource: rate must be above 0 records/s, not {rate}")
        if count is not None and count < 0:
            raise ConfigError(f"GeneratorSource: count must be at least 0, not {count}")
        self._fn = fn
        self._rate = rate
        self._count = count
        self._first = self._next = self._started_ms = 0

    @property
    def info(self) -> SourceInfo:
        mode = JobMode.STREAMING if self._count is None else JobMode.BATCH_ROLLER
        return SourceInfo("generator", function_ref(self._fn).name, mode, durable=False)

    def to_config(self) -> ConnectorConfig:
        return ConnectorConfig.of("generator", {"fn": self._fn, "rate": self._rate, "count": self._count})

    def open(self, ctx: SourceContext[T]) -> None:
        self._ctx = ctx

    def seek(self, position: JsonLike) -> None:
        self._next = cast("int | None", position) or 0
        self._first = self._next
        self._started_ms = self._ctx.clock.monotonic_ms()

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

    def estimated_records(self) -> int | None:
        return self._count

    def _wait_until_due(self, rate: float) -> int:
        """Wait for the next record's time; return how many are due, 0 once cancelled."""
        done = self._next - self._first
        while True:
            passed_ms = self._ctx.clock.monotonic_ms() - self._started_ms
            due = int(passed_ms * rate / 1000) + 1 - done
            if due > 0:
                return due
            left_ms = max(1, ceil(done * 1000 / rate) - passed_ms)  # 1: the two divisions may round apart
            if not self._ctx.wait(timedelta(milliseconds=left_ms)):
                return 0

    def _failed(self, index: int, error: Exception) -> UserFunctionError:
        function = str(function_ref(self._fn))
        return UserFunctionError(
            f"the function of a GeneratorSource raised {type(error).__name__}: {error}"
        ).located(function=function, position=str(Origin(SPLIT, index)))
