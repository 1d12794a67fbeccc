"""How a source defines event time: the timestamp of a record, and how far out of order it may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from pipeline.core.durations import describe_duration, milliseconds
from pipeline.core.errors import ConfigError
from pipeline.core.functions import function_ref, is_async
from pipeline.core.policy import ErrorPolicy, require_policy

_FAIL: Final = ErrorPolicy()


@dataclass(frozen=True, slots=True)
class WatermarkStrategy:
    """A description of event time; build one with `bounded_out_of_orderness` or `monotonic`.

    A record that comes no more than the bound behind the greatest timestamp of its split is never late.

    Attributes:
        timestamp: the event time of a record, milliseconds UTC or a datetime with its zone; None for the
            one that its source has for it.
        bound_ms: how far behind the greatest timestamp a record may come, milliseconds.
        idleness_ms: a split silent for this long no longer holds event time back; None for never.
        every: records of a split between two watermarks; None for one at the end of each batch.
        max_ahead_ms: a timestamp further ahead of the clock than this does not move event time.
        on_error: what happens to a record for which `timestamp` raises, or returns no time.
    """

    timestamp: Callable[[Any], int | datetime] | None = None
    bound_ms: int = 0
    idleness_ms: int | None = None
    every: int | None = None
    max_ahead_ms: int | None = None
    on_error: ErrorPolicy = ErrorPolicy()

    @classmethod
    def bounded_out_of_orderness(
        cls,
        bound: timedelta,
        *,
        timestamp: Callable[[Any], int | datetime] | None = None,
        on_error: ErrorPolicy = _FAIL,
    ) -> WatermarkStrategy:
        """Allow records to be up to `bound` behind the latest one.

        Args:
            bound: 0 or more.
            timestamp: a plain function from a record to milliseconds UTC, or to a datetime with its
                zone; left out, records have the time that their source has for them, as Kafka does.
            on_error: what happens to a record for which `timestamp` raises or returns no time: fail,
                skip, retry, or dead_letter, to a side output of the source.

        Returns:
            The strategy.

        Raises:
            ConfigError: `bound` is negative, `timestamp` is not a plain function, or `on_error` is set
                without it.

        Example:
            >>> WatermarkStrategy.bounded_out_of_orderness(
            ...     timedelta(seconds=1), timestamp=lambda event: event["ts"]
            ... ).describe()
            'up to 1 s out of order'
        """
        require_policy("on_error of a watermark strategy", on_error)
        if timestamp is not None:
            _require_plain(timestamp)
        elif on_error != _FAIL:
            raise ConfigError(
                "on_error of a watermark strategy needs a timestamp function",
                hint="set timestamp=, or leave out on_error",
            )
        bound_ms = milliseconds("the bound of out-of-orderness", bound, least=0)
        return cls(timestamp, bound_ms, on_error=on_error)

    @classmethod
    def monotonic(
        cls, *, timestamp: Callable[[Any], int | datetime] | None = None, on_error: ErrorPolicy = _FAIL
    ) -> WatermarkStrategy:
        """Expect the timestamps of each split never to go back.

        Args:
            timestamp: as for `bounded_out_of_orderness`.
            on_error: as for `bounded_out_of_orderness`.

        Returns:
            The strategy.

        Raises:
            ConfigError: as `bounded_out_of_orderness`.

        Example:
            WatermarkStrategy.monotonic(timestamp=lambda event: event["ts"])
        """
        return cls.bounded_out_of_orderness(timedelta(), timestamp=timestamp, on_error=on_error)

    def with_idleness(self, timeout: timedelta) -> WatermarkStrategy:
        """Advance event time past a split that has emitted nothing for some time.

        Args:
            timeout: at least 1 ms.

        Returns:
            The strategy with this timeout.

        Raises:
            ConfigError: `timeout` is below 1 ms.

        Example:
            strategy.with_idleness(timedelta(seconds=30))
        """
        return replace(self, idleness_ms=milliseconds("the idleness", timeout))

    def emit_every(self, records: int) -> WatermarkStrategy:
        """Place a watermark after every `records` records of a split, so that a test can predict them.

        Args:
            records: 1 or more; by default there is one at the end of each batch.

        Returns:
            The strategy with this spacing.

        Raises:
            ConfigError: `records` is below 1.

        Example:
            strategy.emit_every(1)
        """
        if records < 1:
            raise ConfigError(f"emit_every: records must be at least 1, not {records}")
        return replace(self, every=records)

    def with_max_ahead(self, limit: timedelta) -> WatermarkStrategy:
        """Ignore timestamps too far ahead of the clock when advancing event time.

        Otherwise one record dated next year would make every later record late. The record itself is
        kept, in a window that closes when event time reaches it.

        Args:
            limit: at least 1 ms.

        Returns:
            The strategy with this limit.

        Raises:
            ConfigError: `limit` is below 1 ms.

        Example:
            strategy.with_max_ahead(timedelta(hours=1))
        """
        return replace(self, max_ahead_ms=milliseconds("the limit ahead of the clock", limit))

    def describe(self) -> str:
        """Return one line for `explain`."""
        parts = [f"up to {describe_duration(self.bound_ms)} out of order" if self.bound_ms else "in order"]
        if self.idleness_ms is not None:
            parts.append(f"idle after {describe_duration(self.idleness_ms)}")
        if self.every is not None:
            parts.append(f"a watermark every {self.every} records")
        if self.max_ahead_ms is not None:
            parts.append(f"held where timestamps are {describe_duration(self.max_ahead_ms)} ahead")
        if self.on_error != _FAIL:
            parts.append(f"without a time: {self.on_error.describe()}")
        return ", ".join(parts)


def _require_plain(timestamp: Callable[[Any], int | datetime]) -> None:
    if not callable(timestamp):
        raise ConfigError(
            f"timestamp must be a function from a record to milliseconds UTC, not {timestamp!r}"
        )
    if is_async(timestamp):
        raise ConfigError(
            f"timestamp must be a plain function, but {function_ref(timestamp)} is async",
            hint="compute it in a map upstream, or make the function plain",
        )
