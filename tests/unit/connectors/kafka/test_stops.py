"""Stops: the ends of partitions are found once, or when a time in the future has come."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from confluent_kafka import Message

from connectors.kafka.bounds import Stop
from connectors.kafka.partitions import Partition
from connectors.kafka.stops import Stops
from pipeline.testing import ManualClock

A, B, C = (Partition("events", number) for number in range(3))
SOON = datetime(1970, 1, 1, 0, 0, 10, tzinfo=UTC)


class Brokers:
    """Each partition has a record a second, from 0 up to what `ends` says."""

    def __init__(self, **ends: int) -> None:
        self.ends = {Partition("events", "abc".index(name)): end for name, end in ends.items()}

    def first_offsets(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        raise AssertionError("a stop is not a start")

    def end_offsets(self, partitions: Sequence[Partition], *, committed: bool) -> Mapping[Partition, int]:
        return {partition: self.ends[partition] for partition in partitions}

    def offsets_at(self, partitions: Sequence[Partition], timestamp: int) -> Mapping[Partition, int]:
        at = timestamp // 1000
        return {partition: at if at < self.ends[partition] else -1 for partition in partitions}

    def group_offsets(self, group: str, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        raise AssertionError("a stop is not a group")


class Record:
    """A message of an offset, a second each."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 1, self._offset * 1000


def records(first: int, end: int) -> list[Message]:
    return cast("list[Message]", [Record(offset) for offset in range(first, end)])


def stops(stop: Stop | None, clock: ManualClock | None = None) -> Stops:
    return Stops(stop, clock or ManualClock(), committed=True)


def again(before: Stops, stop: Stop | None, clock: ManualClock | None = None) -> Stops:
    """The next attempt, with what a checkpoint has of this one."""
    restored = stops(stop, clock)
    restored.restore(json.loads(json.dumps(before.snapshot())))
    return restored


def test_without_a_stop_nothing_ends() -> None:
    none = stops(None)
    none.find([A], Brokers(a=5))
    assert (none.before(A, records(0, 9)), none.limit(A, 9), none.reached({A: 9}, [A])) == (None, 9, set())
    assert (none.settled, none.due, none.snapshot()) == (False, False, None)


def test_an_end_is_found_once() -> None:
    """What was written since belongs to the next run."""
    latest = stops("latest")
    latest.find([A, B], Brokers(a=5, b=0))
    latest.find([A, B], Brokers(a=9, b=9))
    assert (latest.before(A, records(3, 9)), latest.limit(A, 9), latest.limit(A, 4)) == (5, 5, 4)
    assert latest.reached({A: 4, B: 0}, [A, B]) == {B}
    assert latest.settled


def test_a_restart_ends_where_the_first_start_would_have() -> None:
    first = stops("latest")
    first.find([A, B], Brokers(a=5, b=0))
    second = again(first, "latest")
    assert second.settled
    second.find([A, B], Brokers(a=9, b=9))
    assert second.reached({A: 5, B: 0}, [A, B]) == {A, B}
    assert second.snapshot() == first.snapshot()


@pytest.mark.parametrize(("other", "limit"), [(None, 20), (SOON, 10), ({"events": {0: 7}}, 7)])
def test_another_stop_is_looked_up(other: Stop | None, limit: int) -> None:
    first = stops("latest")
    first.find([A], Brokers(a=5))
    second = again(first, other, ManualClock(start_ms=10_000))
    assert not second.settled
    second.find([A], Brokers(a=12))
    assert second.limit(A, 20) == limit


def test_a_time_in_the_past_is_found_at_once() -> None:
    past = stops(SOON, ManualClock(start_ms=10_000))
    past.find([A, B], Brokers(a=12, b=3))
    assert (past.limit(A, 20), past.limit(B, 20), past.settled, past.due) == (10, 3, True, False)


def test_until_a_time_in_the_future_has_come_its_records_are_awaited() -> None:
    clock = ManualClock(start_ms=9_999)
    future = stops(SOON, clock)
    future.find([A, B], Brokers(a=12, b=3))
    assert (future.settled, future.due) == (False, False)
    assert (future.before(A, records(0, 12)), future.before(B, records(0, 3))) == (10, None)
    assert future.reached({A: 10, B: 3}, [A, B]) == {A}
    clock.advance(timedelta(milliseconds=1))
    assert future.due
    future.find([A, B], Brokers(a=20, b=5))
    assert (future.limit(A, 30), future.limit(B, 30), future.settled, future.due) == (10, 5, True, False)


def test_the_first_record_of_that_time_ends_its_partition() -> None:
    future = stops(SOON)
    future.find([A], Brokers(a=3))
    assert future.before(A, records(3, 10)) is None
    assert future.before(A, records(3, 15)) == 10
    future.note(A, 10)
    assert (future.reached({A: 10}, [A]), future.settled) == ({A}, False)


def test_what_is_known_of_a_time_in_the_future_is_kept_over_a_restart() -> None:
    first = stops(SOON)
    first.find([A, B], Brokers(a=3, b=3))
    first.note(A, 10)
    second = again(first, SOON, ManualClock(start_ms=10_000))
    assert not second.settled
    second.find([A, B, C], Brokers(a=20, b=5, c=2))
    assert [second.limit(each, 30) for each in (A, B, C)] == [10, 5, 2]


def test_an_end_that_was_noted_stays_where_it_is() -> None:
    """What is before it may be out, and what is after it was not: the brokers may name another by now."""
    future = stops(SOON)
    future.find([A], Brokers(a=3))
    future.note(A, 7)  # records need not be in the order of their times
    second = again(future, SOON, ManualClock(start_ms=10_000))
    second.find([A], Brokers(a=20))
    assert second.limit(A, 30) == 7
