"""What offsets a start and a stop make, without a broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest

from connectors.kafka.bounds import start_offsets, stop_offsets
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


def stop(stop: object, *, committed: bool = True) -> dict[Partition, int] | None:
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
    assert stop(None) is None
    assert stop("latest") == {A: 15, B: 15}
    assert stop("latest", committed=False) == {A: 20, B: 20}
    assert stop(NOON) == {A: 12, B: 15}
    assert stop({"events": {1: 30}}) == {A: 15, B: 30}


@pytest.mark.parametrize("offset", [9, 21])
def test_a_start_that_the_partition_does_not_have_is_refused(offset: int) -> None:
    with pytest.raises(SourceError, match=f"offset {offset} of events-0 is out of range: it has 10 to 20"):
        start({"events": {0: offset}})


@pytest.mark.parametrize("offsets", [{"events": {2: 10}}, {"other": {0: 10}}])
def test_offsets_of_what_is_not_read_are_refused(offsets: object) -> None:
    for bound in (start, stop):
        with pytest.raises(ConfigError, match="which is not read"):
            bound(offsets)
