"""The position of a Kafka source: stored and read back, and held against what the brokers have."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kafka.partitions import (
    Partition,
    Position,
    Topic,
    by_topic,
    check_same,
    of_topics,
    without_topics,
)
from pipeline.core.errors import SourceError
from state.encoding import from_json, to_json

names = st.text("abc.-_", min_size=1, max_size=4)
partitions = st.builds(Partition, names, st.integers(0, 20))
offsets = st.dictionaries(partitions, st.integers(0, 2**62))
positions = st.builds(Position, offsets, st.dictionaries(names, names), st.none() | offsets.map(by_topic))

EVENTS = Partition("events", 0)


@given(positions)
def test_a_position_comes_back_from_a_checkpoint_as_it_was(position: Position) -> None:
    stored = json.dumps(to_json(position.to_state()))
    assert Position.from_state(from_json(json.loads(stored))) == position


@given(offsets)
def test_offsets_come_back_from_a_checkpoint_as_they_were(offsets: dict[Partition, int]) -> None:
    assert of_topics(json.loads(json.dumps(by_topic(offsets)))) == offsets


@pytest.mark.parametrize("state", [{"source_type": "jdbc_query"}, {}, [1], "x", 3])
def test_what_is_not_a_position_of_kafka_is_refused(state: object) -> None:
    with pytest.raises(SourceError, match="no position of a Kafka source") as caught:
        Position.from_state(state)  # pyright: ignore[reportArgumentType] - what a damaged checkpoint may hold
    assert not caught.value.retryable


def test_the_form_is_that_of_the_specification() -> None:
    position = Position({EVENTS: 5, Partition("events", 11): 0}, {"events": "id"})
    assert position.to_state() == {
        "source_type": "kafka",
        "offsets": {"events": {"0": 5, "11": 0}},
        "topic_ids": {"events": "id"},
    }


@pytest.mark.parametrize(("offset", "inside"), [(1, False), (2, True), (7, True), (8, False)])
def test_an_offset_is_inside_from_the_oldest_record_to_after_the_newest(offset: int, inside: bool) -> None:
    position = Position({EVENTS: offset}, {})
    if inside:
        position.check_range({EVENTS: 2}, {EVENTS: 7})
    else:
        with pytest.raises(SourceError, match=f"offset {offset} of events-0 is out of range: it has 2 to 7"):
            position.check_range({EVENTS: 2}, {EVENTS: 7})


def test_a_topic_recreated_is_reported_by_its_id() -> None:
    position = Position({EVENTS: 5}, {"events": "old"})
    with pytest.raises(SourceError, match="events was deleted and created again"):
        position.check_topics({"events": Topic("new", 1)})
    with pytest.raises(SourceError, match="events was deleted since"):
        position.check_topics({})
    with pytest.raises(SourceError, match="has no partition 0 any more"):
        position.check_topics({"events": Topic("old", 0)})
    position.check_topics({"events": Topic("old", 3)})


def test_a_broker_without_topic_ids_is_taken_at_its_word() -> None:
    check_same("events", "", Topic("some", 1))
    check_same("events", "some", Topic("", 1))


def test_topics_that_are_not_read_any_more_leave_the_position() -> None:
    position = Position({EVENTS: 1, Partition("other", 0): 2}, {"events": "a", "other": "b"})
    assert without_topics(position, ["events"]) == Position({EVENTS: 1}, {"events": "a"})
