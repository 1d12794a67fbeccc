"""OpenTransactions: what holds a reader up is said, once for each place, and only where it is certain."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors.kafka.open_transactions import OpenTransactions, say_left_out
from connectors.kafka.partitions import Partition
from pipeline.testing.clock import ManualClock

ONE, TWO = Partition("t", 0), Partition("t", 1)


class Brokers:
    """Answer with the ends that a test has set, or not at all while it holds the answers back."""

    def __init__(self) -> None:
        self.ends: dict[Partition, tuple[int, int] | None] = {}
        self.questions: list[set[Partition]] = []
        self.silent = False
        self._pending: list[tuple[Future[Any], Any]] = []

    def ask_end_offsets(
        self, partitions: Iterable[Partition], *, committed: bool
    ) -> dict[Partition, Future[Any]]:
        asked = {one: Future[Any]() for one in partitions}
        if committed:
            self.questions.append(set(asked))
        self._pending += [
            (future, None if ends is None else ends[0 if committed else 1])
            for ends, future in ((self.ends[one], future) for one, future in asked.items())
        ]
        if not self.silent:
            self.answer()
        return asked

    def answer(self) -> None:
        for future, end in self._pending:
            if end is None:
                future.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
            else:
                future.set_result(SimpleNamespace(offset=end))
        self._pending.clear()


class Scene:
    """A reader that looks, and what it has logged."""

    def __init__(self, caplog: pytest.LogCaptureFixture, *, ends: bool = True) -> None:
        self.brokers, self.clock, self._caplog = Brokers(), ManualClock(), caplog
        self.open = OpenTransactions(self.brokers, self.clock, ends=ends)

    def after(self, seconds: int, offsets: dict[Partition, int]) -> list[str]:
        """Let time pass, look twice, and return what was logged: a question, and its answer."""
        self.clock.advance(timedelta(seconds=seconds))
        self._caplog.clear()
        for _ in range(2):
            self.open.look(offsets, offsets)
        return [record.getMessage() for record in self._caplog.records]


def test_a_partition_that_an_open_transaction_holds_up_is_said_once(caplog: Any) -> None:
    """With the offsets; again where it is held up at another place."""
    scene = Scene(caplog)
    scene.brokers.ends = {ONE: (5, 8), TWO: (9, 9)}
    assert scene.after(10, {ONE: 5, TWO: 9}) == [], "it may just have come here"
    (said,) = scene.after(10, {ONE: 5, TWO: 9})
    assert said.startswith("t-0 waits at offset 5, where a transaction of another producer is open")
    assert "up to offset 8" in said
    assert scene.after(10, {ONE: 5, TWO: 9}) == []
    scene.brokers.ends[ONE] = (8, 9)
    assert scene.after(10, {ONE: 8, TWO: 9}) == []
    (said,) = scene.after(10, {ONE: 8, TWO: 9})
    assert said.startswith("t-0 waits at offset 8")


@pytest.mark.parametrize("ends", [(8, 8), (7, 8), None], ids=["slow", "slow and open after it", "no answer"])
def test_a_partition_that_is_held_up_by_something_else_is_not_said(caplog: Any, ends: Any) -> None:
    """Committed records are pending, or nobody answers."""
    scene = Scene(caplog)
    scene.brokers.ends = {ONE: ends}
    scene.after(10, {ONE: 5})
    assert scene.after(10, {ONE: 5}) == []
    assert scene.brokers.questions == [{ONE}]


def test_a_partition_that_moves_is_not_asked_about(caplog: Any) -> None:
    scene = Scene(caplog)
    for offset in range(5):
        assert scene.after(10, {ONE: offset}) == []
    assert scene.brokers.questions == []


def test_a_source_without_an_end_waits_longer_for_transactions(caplog: Any) -> None:
    """A job that takes a checkpoint each minute has one open for a minute."""
    scene = Scene(caplog, ends=False)
    scene.brokers.ends = {ONE: (5, 8)}
    for _ in range(17):
        assert scene.after(10, {ONE: 5}) == []
    assert len(scene.after(10, {ONE: 5})) == 1


def test_an_answer_that_is_late_is_heard_later(caplog: Any) -> None:
    scene = Scene(caplog)
    scene.brokers.ends = {ONE: (5, 8)}
    scene.brokers.silent = True
    scene.after(10, {ONE: 5})
    assert scene.after(10, {ONE: 5}) == []
    scene.brokers.answer()
    assert len(scene.after(0, {ONE: 5})) == 1
    assert len(scene.brokers.questions) == 1


def test_what_an_end_leaves_out_is_said(caplog: pytest.LogCaptureFixture) -> None:
    say_left_out({ONE: 5, TWO: 9}, {ONE: 8, TWO: 9})
    (record,) = caplog.records
    assert record.getMessage().startswith("t-0 is read up to offset 5, where a transaction")
    assert record.getMessage().endswith("up to offset 8 are left out")
