"""Where reading starts and where it ends, as the user says it, and what offsets that makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, Protocol, cast

from connectors.kafka.partitions import Partition
from pipeline.core.errors import ConfigError, SourceError

Offsets = Mapping[str, Mapping[int, int]]
"""The offset of each partition, by topic and number."""

Start = Literal["earliest", "latest", "group"] | datetime | Offsets
Stop = Literal["latest"] | datetime | Offsets

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STARTS: Final = ("earliest", "latest", "group")
_STOPS: Final = ("latest",)


class OffsetQueries(Protocol):
    """What has to be asked of the brokers."""

    def first_offsets(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]: ...
    def end_offsets(self, partitions: Sequence[Partition], *, committed: bool) -> Mapping[Partition, int]: ...
    def offsets_at(self, partitions: Sequence[Partition], timestamp: int) -> Mapping[Partition, int]: ...
    def group_offsets(self, group: str, partitions: Sequence[Partition]) -> Mapping[Partition, int]: ...


def checked_start(start: Start) -> Start:
    """Raise unless it is a valid start.

    Raises:
        ConfigError: with what is one.
    """
    return _checked("start", start, _STARTS)


def checked_stop(stop: Stop | None) -> Stop | None:
    """Raise unless it is a valid end, as `checked_start` does."""
    return None if stop is None else _checked("stop", stop, _STOPS)


def check_past(start: Start, now_ms: int) -> None:
    """Refuse a start in the future: no offset is known of it, and what comes before it would be read.

    Raises:
        ConfigError: the time has not come yet.
    """
    if isinstance(start, datetime) and milliseconds_of(start) > now_ms:
        raise ConfigError(
            f"start={start.isoformat()} is in the future",
            hint="start the job then; or start='latest', and filter records by their time",
        )


def start_offsets(
    start: Start,
    partitions: Sequence[Partition],
    group: str,
    brokers: OffsetQueries,
    *,
    committed: bool = True,
) -> dict[Partition, int]:
    """Return the offset to start at in each partition.

    Partitions that explicit offsets do not name, and those for which the group has committed
    nothing, start at their beginning; those with nothing at or after a time start at their end.

    Args:
        committed: whether the end is that of the committed records.

    Raises:
        ConfigError: explicit offsets name a partition that does not exist.
        SourceError: they, or the group's, name an offset that the partition does not have.
    """
    if isinstance(start, datetime):
        return _at(start, partitions, brokers, committed=committed)
    if start == "latest":
        return dict(brokers.end_offsets(partitions, committed=committed))
    first = dict(brokers.first_offsets(partitions))
    if start == "earliest":
        return first
    named = brokers.group_offsets(group, partitions) if start == "group" else _named(start, partitions)
    end = brokers.end_offsets(list(named), committed=False)
    for partition, offset in named.items():
        if not first[partition] <= offset <= end[partition]:
            raise SourceError(
                f"start={'group' if start == 'group' else 'offsets'}: offset {offset} of {partition} "
                f"is out of range: it has {first[partition]} to {end[partition]}",
                retryable=False,
                hint="start at an offset that exists, or at 'earliest'",
            )
    return first | dict(named)


def is_fixed(start: Start) -> bool:
    """Whether a start looked up later is the same place, so that what was written meanwhile is read."""
    return start == "earliest" or isinstance(start, Mapping)


def stop_offsets(
    stop: Stop, partitions: Sequence[Partition], brokers: OffsetQueries, *, committed: bool
) -> dict[Partition, int]:
    """Return the offset before which reading ends in each partition.

    Partitions that explicit offsets do not name are read to where they end now, as are those that
    have no record of a time or later.

    Raises:
        ConfigError: explicit offsets name a partition that does not exist.
    """
    if isinstance(stop, datetime):
        return _at(stop, partitions, brokers, committed=committed)
    end = dict(brokers.end_offsets(partitions, committed=committed))
    return end if stop == "latest" else end | _named(stop, partitions)


def _at(
    time: datetime, partitions: Sequence[Partition], brokers: OffsetQueries, *, committed: bool
) -> dict[Partition, int]:
    found = brokers.offsets_at(partitions, milliseconds_of(time))
    end = brokers.end_offsets([partition for partition, at in found.items() if at < 0], committed=committed)
    return {**found, **end}


def milliseconds_of(time: datetime) -> int:
    """Return a time in milliseconds UTC."""
    return (time - _EPOCH) // timedelta(milliseconds=1)


def _named(offsets: Any, partitions: Sequence[Partition]) -> dict[Partition, int]:
    named = {Partition(topic, number): at for topic, of in offsets.items() for number, at in of.items()}
    unknown = named.keys() - set(partitions)
    if unknown:
        raise ConfigError(
            f"offsets are given for {', '.join(sorted(map(str, unknown)))}, which is not read",
            hint="name topics that the source reads, and partitions that they have",
        )
    return named


def _checked(argument: str, given: Any, words: Sequence[str]) -> Any:
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise ConfigError(
                f"{argument}={given!r} has no time zone", hint="write datetime(…, tzinfo=timezone.utc)"
            )
        return given
    if given in words if isinstance(given, str) else _is_offsets(given):
        return given
    expected = ", ".join(map(repr, words))
    raise ConfigError(
        f"{argument} must be {expected}, a datetime or {{topic: {{partition: offset}}}}, not {given!r}"
    )


def _is_offsets(given: Any) -> bool:
    if not isinstance(given, Mapping):
        return False
    numbers: list[Any] = []
    for of in cast(Mapping[Any, Any], given).values():
        if not isinstance(of, Mapping):
            return False
        numbers += [*cast(Mapping[Any, Any], of).keys(), *cast(Mapping[Any, Any], of).values()]
    return all(isinstance(number, int) and number >= 0 for number in numbers)
