"""The event time of each record, as a watermark strategy says, and what becomes of records that have none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from pipeline.core.clock import Clock
from pipeline.core.elements import BEGINNING
from pipeline.core.errors import PipelineError, SourceError, UserFunctionError
from pipeline.core.records import Batch, Origin
from pipeline.operators.failure import DROPPED, FailureContext, Failures, Survivors
from pipeline.windows.watermarks import WatermarkStrategy

_log = logging.getLogger(__name__)

LAST_INSTANT: Final = 253_402_300_799_999
"""The end of the year 9999: what is later has another unit than milliseconds."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_UNITS: Final = (("seconds", 1000.0), ("microseconds", 1 / 1000), ("nanoseconds", 1 / 1_000_000))
"""Other units that a time may be in, and how many milliseconds each is."""

_YEARS: Final = 20 * 365 * 86_400_000
"""Milliseconds: a time this near to the clock, in another unit, is most likely meant in that unit."""

_FIRST_DAYS: Final = (1_000_000_000, 4_000_000_000)
"""As milliseconds these are days of January and February 1970, as seconds the years 2001 to 2096."""


class NotATime(ValueError):
    """What a timestamp function returned cannot be the time of a record."""


class Timestamps:
    """Stamps batches with the event time of their records.

    Args:
        strategy: says what the time of a record is, and what happens to one that has none.
        uid: of the source, for errors.
        ctx: counts failed records and takes dead letters.
    """

    def __init__(self, strategy: WatermarkStrategy, uid: str, ctx: FailureContext, clock: Clock) -> None:
        self._function = strategy.timestamp
        self._uid = uid
        self._clock = clock
        self._questioned = False
        self._failures = _TimeFailures(strategy.timestamp or _own, strategy.on_error, uid, ctx)

    def stamp(self, batch: Batch[Any]) -> tuple[Batch[Any], int]:
        """Return the records that have a time, with it, and the greatest of their times.

        Raises:
            UserFunctionError: the function raised or returned no time, and the policy is to fail.
            SourceError: the source has no time for a record, or a wrong one.
        """
        if self._function is None:
            stamped, greatest = self._own(batch)
        else:
            stamped, greatest = self._called(self._function, batch)
        if _FIRST_DAYS[0] < greatest < _FIRST_DAYS[1] and not self._questioned:
            self._question(greatest)
        return stamped, greatest

    def _own(self, batch: Batch[Any]) -> tuple[Batch[Any], int]:
        timestamps = batch.timestamps
        if timestamps is None:
            raise SourceError(
                f"the records of {self._uid} have no timestamps",
                retryable=False,
                hint="set the timestamp function of the watermark strategy: timestamp=lambda record: …",
            ).located(operator=self._uid)
        greatest = _greatest(timestamps)
        if greatest is not None:
            return batch, greatest
        for index, found in enumerate(timestamps):
            try:
                in_milliseconds(found, self._clock)
            except NotATime as error:
                raise SourceError(str(error), retryable=False).located(
                    operator=self._uid, position=_place(batch.origins, index)
                ) from error
        raise AssertionError("one of them is not a time")

    def _called(self, function: Callable[[Any], Any], batch: Batch[Any]) -> tuple[Batch[Any], int]:
        timestamps: list[Any] = []
        left = iter(batch.values)
        try:
            timestamps.extend(map(function, left))  # keeps those before a call that raises
        except PipelineError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the user's function raises
            batch = self._recovered(function, batch, timestamps, left, error)
        greatest = _greatest(timestamps)
        if greatest is not None:
            return Batch(batch.values, timestamps, batch.origins), greatest
        return self._converted(function, batch, timestamps)

    def _recovered(
        self,
        function: Callable[[Any], Any],
        batch: Batch[Any],
        timestamps: list[Any],
        left: Iterator[Any],
        error: Exception,
    ) -> Batch[Any]:
        """Continue after a call that raised; return the records that have a time.

        Args:
            timestamps: of the records before that one; those of the others are added.
        """
        survivors, dropped = Survivors(batch), 0
        while True:
            again = partial(function, batch.values[len(timestamps) + dropped])
            found = survivors.recover(self._failures, error, again, timestamps)
            if found is DROPPED:
                dropped += 1
            else:
                timestamps.append(found)
            try:
                timestamps.extend(map(function, left))
            except PipelineError:
                raise
            except Exception as latest:  # noqa: BLE001 - whatever the user's function raises
                error = latest
            else:
                return survivors.records()

    def _converted(
        self, function: Callable[[Any], Any], batch: Batch[Any], found: Sequence[Any]
    ) -> tuple[Batch[Any], int]:
        """Turn what the function returned into milliseconds, record by record."""
        survivors, timestamps = Survivors(batch), list[int]()
        for value, each in zip(batch.values, found, strict=True):
            try:
                timestamps.append(in_milliseconds(each, self._clock))
            except NotATime as error:
                again = partial(self._in_milliseconds, function, value)
                timestamp = survivors.recover(self._failures, error, again, timestamps)
                if timestamp is not DROPPED:
                    timestamps.append(timestamp)
        records = survivors.records()
        return Batch(records.values, timestamps, records.origins), max(timestamps, default=BEGINNING)

    def _in_milliseconds(self, function: Callable[[Any], Any], value: Any) -> int:
        return in_milliseconds(function(value), self._clock)

    def _question(self, found: int) -> None:
        meant = _meant(found, self._clock.now_ms())
        if meant is not None:
            self._questioned = True
            _log.warning(
                "the timestamps of %s look wrong: %d is %s in milliseconds%s",
                self._uid,
                found,
                _day(found),
                meant,
            )


def in_milliseconds(found: Any, clock: Clock) -> int:
    """Return a time as milliseconds UTC.

    Raises:
        NotATime: it is neither an int nor a datetime that says where, or is after the year 9999.
    """
    if isinstance(found, datetime):
        if found.utcoffset() is None:
            raise NotATime(
                f"a timestamp that is a datetime needs its time zone, found {found!r}: "
                "write .replace(tzinfo=timezone.utc), or the zone it is in"
            )
        return (found - _EPOCH) // _MILLISECOND
    if not isinstance(found, int):
        meant = _meant(found, clock.now_ms()) or ""
        raise NotATime(
            f"a timestamp must be an int, milliseconds UTC, or a datetime, "
            f"found {found!r} ({type(found).__name__}){meant}"
        )
    if found > LAST_INSTANT:
        meant = _meant(found, clock.now_ms()) or ""
        raise NotATime(
            f"a timestamp must be milliseconds UTC, found {found}, which is after the year 9999{meant}"
        )
    return found


def _greatest(timestamps: Sequence[Any]) -> int | None:
    """Return the greatest of times, None unless all are ints of their range; quicker than a look at each."""
    try:
        total = sum(timestamps)  # of ints only it is an int, and found more quickly than their types
    except TypeError:
        return None
    if type(total) is not int:
        return None
    greatest = max(timestamps, default=BEGINNING)
    return greatest if greatest <= LAST_INSTANT else None


def _meant(found: Any, now_ms: int) -> str | None:
    """Say in which other unit a number is a time near to the clock, None if in none."""
    if not isinstance(found, (int, float)) or not -(2**63) < found < 2**63:
        return None
    for unit, milliseconds in _UNITS:
        if abs(found * milliseconds - now_ms) < _YEARS:
            return f"; in {unit} it is {_day(found * milliseconds)}: return milliseconds"
    return None


def _day(milliseconds: float) -> str:
    return f"{_EPOCH + timedelta(milliseconds=milliseconds):%Y-%m-%d}"


def _place(origins: Sequence[Origin] | None, index: int) -> str | None:
    return None if origins is None else str(origins[index])


def _own(record: Any) -> int:
    """Replaces the function if a source has the times of its records."""
    raise AssertionError(record)


class _TimeFailures(Failures):
    """Words errors for a function that is to tell the time of a record."""

    def error(self, error: Exception, origins: Sequence[Origin] | None) -> UserFunctionError:
        failure = super().error(error, origins)
        if isinstance(error, NotATime):
            failure.message = str(error)
            failure.args = (failure.message,)
        failure.hint = (
            "fix the timestamp function; for records that have no time give the watermark strategy "
            "on_error=ErrorPolicy.skip() or .dead_letter()"
        )
        return failure
