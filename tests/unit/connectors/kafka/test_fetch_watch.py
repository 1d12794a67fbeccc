"""FetchWatch: when records that do not come are the consumer's fault."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from connectors.kafka.fetch_watch import FetchWatch
from connectors.kafka.partitions import Partition
from pipeline.testing.clock import ManualClock

A, B = Partition("events", 0), Partition("events", 1)
AWAY = KafkaException(KafkaError(KafkaError._TIMED_OUT))


class Brokers:
    """Know where partitions end; None where they do not answer."""

    def __init__(self) -> None:
        self.ends: dict[Partition, int | None] = {}
        self.asked: list[list[Partition]] = []

    def ask_end_offsets(
        self, partitions: Iterable[Partition], *, committed: bool
    ) -> dict[Partition, Future[Any]]:
        assert committed
        self.asked.append(list(partitions))
        return {partition: self._answer(self.ends[partition]) for partition in self.asked[-1]}

    def _answer(self, end: int | None) -> Future[Any]:
        answer: Future[Any] = Future()
        if end is None:
            answer.set_exception(AWAY)
        else:
            answer.set_result(SimpleNamespace(offset=end))
        return answer


class Scene:
    """A consumer that is found empty again and again."""

    def __init__(self, **ends: int | None) -> None:
        self.clock = ManualClock()
        self.brokers = Brokers()
        self.brokers.ends = {A: ends["a"], B: ends["b"]}
        self.offsets = {A: 5, B: 5}
        self.watch = FetchWatch(self.brokers, self.clock, committed=True)

    def rounds(self, count: int) -> list[bool]:
        """Ask, and get the answer, that often."""
        return [self.round() for _ in range(count)]

    def round(self) -> bool:
        self.clock.advance(timedelta(seconds=4))
        assert not self.watch.is_stuck(self.offsets, [A, B])  # asks
        return self.watch.is_stuck(self.offsets, [A, B])


def test_what_the_brokers_have_twice_in_a_row_and_the_consumer_does_not_is_its_fault() -> None:
    assert Scene(a=9, b=5).rounds(2) == [False, True]


def test_a_new_consumer_has_the_same_time_again() -> None:
    assert Scene(a=9, b=5).rounds(4) == [False, True, False, True]


def test_partitions_that_are_read_to_their_end_are_no_evidence() -> None:
    assert Scene(a=5, b=5).rounds(3) == [False] * 3


def test_brokers_that_do_not_answer_are_no_evidence() -> None:
    scene = Scene(a=9, b=5)
    assert not scene.round()
    scene.brokers.ends[A] = None
    assert scene.rounds(2) == [False] * 2
    scene.brokers.ends[A] = 9
    assert scene.rounds(2) == [False, True]


def test_a_partition_that_moves_is_slow_and_not_stuck() -> None:
    scene = Scene(a=90, b=5)
    for offset in range(5, 20):
        scene.offsets[A] = offset
        assert not scene.round()


def test_one_partition_may_be_stuck_while_another_moves() -> None:
    scene = Scene(a=9, b=90)
    assert not scene.round()
    scene.offsets[B] = 6
    assert scene.round()


def test_it_asks_now_and_then_and_waits_for_no_answer() -> None:
    scene = Scene(a=9, b=5)
    scene.clock.advance(timedelta(seconds=3))
    assert not scene.watch.is_stuck(scene.offsets, [A, B])
    assert scene.brokers.asked == []
    scene.clock.advance(timedelta(seconds=1))
    waiting: Future[Any] = Future()
    scene.brokers.ask_end_offsets = lambda partitions, *, committed: {A: waiting}  # type: ignore[method-assign]
    assert not any(scene.watch.is_stuck(scene.offsets, [A, B]) for _ in range(9))
