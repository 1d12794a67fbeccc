"""The watch over topics: asks when it is time, and tells what has come from what is gone."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, cast

import pytest

from connectors.kafka.cluster import Cluster
from connectors.kafka.partitions import Partition, Topic
from connectors.kafka.topics import Selection, Watch
from pipeline.core.errors import SourceError
from pipeline.testing.clock import ManualClock


class Brokers:
    """Answers when the test lets it."""

    def __init__(self) -> None:
        self.topics: dict[str, Topic | SourceError | None] = {"events": Topic("id", 1)}
        self.answers: list[Future[Any]] = []
        self.away = False

    def names(self) -> list[str]:
        if self.away:
            raise SourceError("no answer", retryable=True)
        return sorted(self.topics)

    def ask_topics(self, names: Iterable[str]) -> dict[str, Future[Any]]:
        asked: dict[str, Future[Any]] = {name: Future() for name in names}
        self.answers += asked.values()
        return asked

    def answer(self, name: str, asked: Future[Any]) -> Topic | None:
        found = self.topics.get(name)
        if isinstance(found, SourceError):
            raise found
        return found

    def answer_all(self) -> None:
        for answer in self.answers:
            answer.set_result(None)
        self.answers.clear()


@pytest.fixture
def brokers() -> Brokers:
    return Brokers()


def watch(brokers: Brokers, clock: ManualClock, selection: Selection | None = None) -> Watch:
    known = {"events": Topic("id", 1)}
    return Watch(cast(Cluster, brokers), selection or Selection("events", None), known, 1_000, clock)


def look(brokers: Brokers, clock: ManualClock, watch: Watch) -> list[Partition]:
    """Let a look become due, be asked and be answered."""
    clock.advance(timedelta(seconds=1))
    assert watch.new_partitions() == []
    brokers.answer_all()
    return watch.new_partitions()


def test_it_asks_when_it_is_time_and_waits_for_no_answer(brokers: Brokers) -> None:
    clock = ManualClock()
    watching = watch(brokers, clock)
    assert watching.new_partitions() == []
    assert brokers.answers == []
    clock.advance(timedelta(seconds=1))
    brokers.topics["events"] = Topic("id", 2)
    for _ in range(3):
        assert watching.new_partitions() == []
    assert len(brokers.answers) == 1
    brokers.answer_all()
    assert watching.new_partitions() == [Partition("events", 1)]
    assert watching.new_partitions() == []


def test_a_partition_is_new_once(brokers: Brokers) -> None:
    clock = ManualClock()
    watching = watch(brokers, clock)
    brokers.topics["events"] = Topic("id", 3)
    assert look(brokers, clock, watching) == [Partition("events", 1), Partition("events", 2)]
    assert look(brokers, clock, watching) == []


@pytest.mark.parametrize(("found", "what"), [(None, "was deleted"), (Topic("new", 1), "created again")])
def test_a_topic_that_is_gone_or_another_one_is_an_error(
    brokers: Brokers, found: Topic | None, what: str
) -> None:
    clock = ManualClock()
    watching = watch(brokers, clock)
    brokers.topics["events"] = found
    with pytest.raises(SourceError, match=what):
        look(brokers, clock, watching)


def test_brokers_that_are_away_change_nothing(brokers: Brokers) -> None:
    """They are waited for elsewhere; the next look is as due as ever."""
    clock = ManualClock()
    watching = watch(brokers, clock, Selection(None, "ev.*"))
    brokers.away = True
    brokers.topics["events"] = SourceError("no answer", retryable=True)
    assert look(brokers, clock, watching) == []
    brokers.away = False
    brokers.topics["events"] = Topic("id", 2)
    assert look(brokers, clock, watching) == [Partition("events", 1)]


def test_rights_that_are_taken_away_are_an_error(brokers: Brokers) -> None:
    clock = ManualClock()
    watching = watch(brokers, clock)
    brokers.topics["events"] = SourceError("not authorized", retryable=False)
    with pytest.raises(SourceError, match="not authorized"):
        look(brokers, clock, watching)


def test_a_topic_that_begins_to_match_is_new_with_all_its_partitions(brokers: Brokers) -> None:
    clock = ManualClock()
    watching = watch(brokers, clock, Selection(None, "ev.*"))
    brokers.topics |= {"evenings": Topic("other", 2), "mornings": Topic("third", 1), "__evil": Topic("x", 1)}
    assert look(brokers, clock, watching) == [Partition("evenings", 0), Partition("evenings", 1)]
    assert watching.ids == {"events": "id", "evenings": "other"}
