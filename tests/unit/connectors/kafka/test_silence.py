"""Silence: the ends of silent partitions are asked for without waiting, and each answer is given once."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors.kafka.partitions import Partition
from connectors.kafka.silence import Silence, may_have_more

A, B = Partition("t", 0), Partition("t", 1)


class Brokers:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.committed: list[bool] = []
        self.asked: dict[Partition, Future[Any]] = {}

    def ask_end_offsets(
        self, partitions: Iterable[Partition], *, committed: bool
    ) -> dict[Partition, Future[Any]]:
        self.committed.append(committed)
        new: dict[Partition, Future[Any]] = {partition: Future() for partition in partitions}
        self.asked |= new
        return new


@pytest.mark.parametrize("committed", [False, True])
def test_an_end_is_returned_once_it_is_known(committed: bool) -> None:
    brokers = Brokers()
    silence = Silence(brokers, committed=committed)
    silence.ask([A, B])
    assert silence.answers() == {}
    brokers.asked[B].set_result(SimpleNamespace(offset=7))
    assert silence.answers() == {B: 7}
    assert silence.answers() == {}
    brokers.asked[A].set_result(SimpleNamespace(offset=0))
    assert silence.answers() == {A: 0}
    assert brokers.committed == [committed]


def test_a_broker_that_does_not_answer_says_nothing_about_its_end() -> None:
    brokers = Brokers()
    silence = Silence(brokers, committed=True)
    silence.ask([A])
    brokers.asked[A].set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    assert silence.answers() == {A: None}


@pytest.mark.parametrize(("end", "more"), [(6, True), (5, False), (0, False), (None, True)])
def test_a_partition_is_empty_only_if_its_broker_says_so(end: int | None, more: bool) -> None:
    """Event time passes one that is: a broker that hangs may have records that would be late then."""
    assert may_have_more(5, end) is more
