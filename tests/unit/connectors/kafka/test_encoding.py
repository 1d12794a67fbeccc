"""Encoder: topic, partition, key, value, headers and time of each record; and which one is at fault."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from connectors.kafka.encoding import Encoder, by_key_hash
from connectors.kafka.outgoing import Outgoing
from connectors.kafka.targets import Target, Targets
from connectors.kafka.writing_plan import Transactions, WritingPlan
from pipeline.core.errors import ConfigError, SinkError
from pipeline.testing.clock import ManualClock


class Known:
    """Topics that are known without asking a broker."""

    def __init__(self, **targets: Target) -> None:
        self._targets = targets

    def of(self, topic: str) -> Target:
        return self._targets[topic]


def encode(values: list[Any], **plan: Any) -> Outgoing:
    known = Known(one=Target(1, 1000), many=Target(3, 1000), small=Target(2, 110))
    plan = {"topic": "many", "value": lambda topic: str.encode, **plan}
    encoder = Encoder(WritingPlan(**plan), cast("Targets", known), ManualClock(start_ms=5))
    return encoder.encode(values)


def test_records_of_a_key_go_to_one_partition() -> None:
    """By the hash that librdkafka uses by default; as bytes or as text."""
    outgoing = encode(["a1", "b1", "a2"], key=lambda value: value[0])
    assert outgoing.keys == [b"a", b"b", b"a"]
    assert outgoing.partitions == [by_key_hash(key, 3) for key in (b"a", b"b", b"a")]
    assert outgoing == encode(["a1", "b1", "a2"], key=lambda value: value[0].encode())


def test_records_without_keys_go_by_turns() -> None:
    """A batch stays together; the next one goes elsewhere."""
    known = cast("Targets", Known(many=Target(3, 1000)))
    encoder = Encoder(WritingPlan("many", lambda topic: str.encode), known, ManualClock())
    seen = [encoder.encode(["x", "y"]).partitions for _ in range(3)]
    assert all(isinstance(one, list) and len(set(one)) == 1 for one in seen)
    assert len({cast("list[int]", one)[0] for one in seen}) == 3


def test_the_time_is_stamped_once_or_the_record_s_own() -> None:
    assert encode(["a"]).timestamps == 5
    assert encode(["7", "8"], timestamp=int).timestamps == [7, 8]


def test_each_record_may_have_a_topic_of_its_own() -> None:
    outgoing = encode(["one", "many"], topic=str, partitioner=lambda key, count: count - 1)
    assert outgoing.topics == ["one", "many"]
    assert outgoing.partitions == [0, 2]


def test_headers_are_passed_on() -> None:
    assert encode(["a", "b"], headers=lambda value: [("h", value.encode())]).headers == [
        [("h", b"a")],
        [("h", b"b")],
    ]


def test_null_values_are_not_encoded() -> None:
    """They delete a key in a compacted topic."""
    assert encode(["a", None], key=lambda value: "k").values == [b"a", None]


@pytest.mark.parametrize("which", ["value", "key", "headers", "timestamp", "topic"])
def test_the_record_at_fault_is_named(which: str) -> None:
    def picky(value: Any) -> Any:
        if value == "bad":
            raise ValueError("no such thing")
        return {"timestamp": 1, "headers": [], "topic": "many"}.get(which, b"")

    argument = (lambda topic: picky) if which == "value" else picky
    with pytest.raises(SinkError, match=f"{which}= raised ValueError: no such thing on 'bad'") as error:
        encode(["good", "bad", "good"], **{which: argument})
    assert not error.value.retryable
    assert isinstance(error.value.__cause__, ValueError)


def test_a_record_that_is_too_large_is_named_before_any_is_written() -> None:
    """One such record would fail a whole batch at the broker."""
    with pytest.raises(SinkError, match=r"a record of 120 bytes is too large for the topic small.* 110") as e:
        encode(["x", "y" * 20], topic="small")
    assert not e.value.retryable
    assert "'yyyy" in str(e.value)
    with pytest.raises(SinkError, match="too large for the topic small"):
        encode(["one", "small" + "y" * 20], topic=lambda value: value[:5].strip("y"))


def test_a_transaction_must_outlast_the_checkpoints() -> None:
    """The broker aborts it otherwise, again and again."""
    transactions = Transactions(None, "marks", 60_000, 1 << 30, timedelta(seconds=1))
    transactions.check_interval(None)
    transactions.check_interval(timedelta(seconds=30))
    with pytest.raises(ConfigError, match="transaction_timeout is 60 s, yet a checkpoint is taken every 31"):
        transactions.check_interval(timedelta(seconds=31))


def test_an_epoch_has_room_for_more_than_a_record() -> None:
    with pytest.raises(ConfigError, match="epoch_max_bytes must be at least 1,048,576, not 10"):
        Transactions(None, "marks", 60_000, 10, timedelta(seconds=1))
