"""What offsets a start and a stop make, without a broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from connectors.kafka.bounds import Start, check_past, is_fixed, start_offsets, stop_offsets
from connectors.kafka.partitions import Partition
from pipeline.core.errors import ConfigError, SourceError

A, B = Partition("events", 0), Partition("events", 1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Brokers:
    """`events` has offsets 10 to 19, of which 15 and later are in an open transaction."""

    def first_offsets(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return dict.fromkeys(partitions, 10)

    def end_offsets(self, partitions: Sequence[Partition], *, committed: bool) -> Mapping[Partition, int]:
        return dict.fromkeys(partitions, 15 if committed else 20)

    def offsets_at(self, partitions: Sequence[Partition], timestamp: int) -> Mapping[Partition, int]:
        assert timestamp == NOON.timestamp() * 1000
        return {partition: 12 if partition == A else -1 for partition in partitions}

    def group_offsets(self, group: str, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {A: 13} if group == "g" else {}


def start(start: object, *, group: str = "g", committed: bool = True) -> dict[Partition, int]:
    return start_offsets(start, [A, B], group, Brokers(), committed=committed)  # pyright: ignore[reportArgumentType]


def stop(stop: object, *, committed: bool = True) -> dict[Partition, int]:
    return stop_offsets(stop, [A, B], Brokers(), committed=committed)  # pyright: ignore[reportArgumentType]


def test_starts() -> None:
    assert start("earliest") == {A: 10, B: 10}
    assert start("latest") == {A: 15, B: 15}
    assert start("latest", committed=False) == {A: 20, B: 20}
    assert start("group") == {A: 13, B: 10}
    assert start("group", group="new") == {A: 10, B: 10}
    assert start(NOON) == {A: 12, B: 15}
    assert start({"events": {1: 20}}) == {A: 10, B: 20}


def test_stops() -> None:
    assert stop("latest") == {A: 15, B: 15}
    assert stop("latest", committed=False) == {A: 20, B: 20}
    assert stop(NOON) == {A: 12, B: 15}
    assert stop({"events": {1: 30}}) == {A: 15, B: 30}


@pytest.mark.parametrize(
    ("start", "fixed"),
    [("earliest", True), ({"events": {0: 3}}, True), ("latest", False), ("group", False), (NOON, False)],
)
def test_only_the_beginning_and_offsets_are_the_same_place_whenever_they_are_looked_up(
    start: Start, fixed: bool
) -> None:
    assert is_fixed(start) is fixed


def test_a_start_in_the_future_is_refused() -> None:
    """What is written before it would be read; a stop in the future is awaited instead."""
    noon = round(NOON.timestamp() * 1000)
    check_past(NOON, noon)
    check_past("latest", 0)
    with pytest.raises(ConfigError, match=r"start=2026-01-01T12:00:00\+00:00 is in the future"):
        check_past(NOON, noon - 1)


@pytest.mark.parametrize("offset", [9, 21])
def test_a_start_that_the_partition_does_not_have_is_refused(offset: int) -> None:
    with pytest.raises(SourceError, match=f"offset {offset} of events-0 is out of range: it has 10 to 20"):
        start({"events": {0: offset}})


@pytest.mark.parametrize("offsets", [{"events": {2: 10}}, {"other": {0: 10}}])
def test_offsets_of_what_is_not_read_are_refused(offsets: object) -> None:
    for bound in (start, stop):
        with pytest.raises(ConfigError, match="which is not read"):
            bound(offsets)
