"""Encoder: topic, partition, key, value, headers and time of each record; and which one is at fault."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any, cast

import pytest

from connectors.kafka import Bytes, Json
from connectors.kafka.encoding import Encoder, by_key_hash
from connectors.kafka.formats import Custom
from connectors.kafka.outgoing import Outgoing
from connectors.kafka.target import Target
from connectors.kafka.targets import Targets
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
    known = Known(
        one=Target(1, 1000),
        many=Target(3, 1000),
        small=Target(2, 110),
        kept=Target(2, 1000, compacted=True),
        recent=Target(1, 1000, behind_ms=2, ahead_ms=1),
    )
    plan = {"topic": "many", "value": Custom(str.encode), **plan}
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
    encoder = Encoder(WritingPlan("many", Custom(str.encode)), known, ManualClock())
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

    argument = Custom(picky) if which == "value" else picky
    with pytest.raises(SinkError, match=f"{which}= raised ValueError: no such thing on 'bad'") as error:
        encode(["good", "bad", "good"], **{which: argument})
    assert not error.value.retryable
    assert isinstance(error.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("which", "given", "expected"),
    [
        ("key", 7, "bytes, text or None"),
        ("key", ["k"], "bytes, text or None"),
        ("value", 1.5, "bytes, text or None"),
        ("topic", None, "the name of a topic"),
        ("timestamp", 1.5, "whole milliseconds since 1970"),
        ("timestamp", "2013-01-01", "whole milliseconds since 1970"),
        ("timestamp", True, "whole milliseconds since 1970"),
        ("timestamp", 0, "whole milliseconds since 1970"),
        ("timestamp", -1, "whole milliseconds since 1970"),
        ("timestamp", 2**63, "whole milliseconds since 1970"),
        ("headers", "ab", "pairs of a name and bytes"),
        ("headers", ["ab"], "pairs of a name and bytes"),
        ("headers", [("h", 1)], "pairs of a name and bytes"),
        ("headers", [(b"h", b"")], "pairs of a name and bytes"),
        ("headers", 7, "pairs of a name and bytes"),
        ("partitioner", 3, "a partition from 0 to 2"),
        ("partitioner", -1, "a partition from 0 to 2"),
        ("partitioner", None, "a partition from 0 to 2"),
        ("partitioner", 1.0, "a partition from 0 to 2"),
    ],
)
def test_what_a_function_may_not_return_is_named_with_its_record(
    which: str, given: Any, expected: str
) -> None:
    """The argument, what was returned and expected, the record, and the user's line."""
    good = {"topic": "many", "timestamp": 1, "headers": [], "partitioner": 0}.get(which, b"k")

    def careless(value: Any, count: int = 0) -> Any:
        return given if value in ("bad", b"bad") else good

    argument = Custom(careless) if which == "value" else careless
    plan = {"key": lambda value: value} if which == "partitioner" else {}
    with pytest.raises(SinkError) as error:
        encode(["good", "bad", "good"], **plan, **{which: argument})
    said = str(error.value)
    assert f"{which}= returned {given!r} ({type(given).__name__}), expected" in said
    assert expected in said
    assert "on 'bad'" in said
    assert f"careless ({__file__}:" in said
    assert not error.value.retryable


def test_text_becomes_bytes_in_keys_values_and_headers() -> None:
    """As they are read back from the epoch log, which knows bytes only."""
    outgoing = encode(
        ["a"],
        value=Custom(lambda value: "ä"),
        key=lambda value: "k",
        headers=lambda value: {"h": "x", "i": None},
    )
    assert outgoing.values == ["ä".encode()]
    assert outgoing.keys == [b"k"]
    assert outgoing.headers == [[("h", b"x"), ("i", None)]]
    assert [*Outgoing.from_bytes(outgoing.to_bytes()).arguments()] == [*outgoing.arguments()]


def test_a_format_that_refuses_a_record_is_not_taken_for_a_function_of_the_user() -> None:
    """The record and the reason are named, and no line of the engine."""
    for format_, bad, why in ((Json(), {"a": math.nan}, "['a'] is nan"), (Bytes(), "a", "expected bytes")):
        with pytest.raises(SinkError) as error:
            encode([bad], value=format_)
        assert f"{why}" in str(error.value)
        assert f"on {bad!r}" in str(error.value)
        assert "connectors/kafka" not in str(error.value)


def test_a_partitioner_that_raises_is_named() -> None:
    def picky(key: bytes | None, count: int) -> int:
        raise ValueError("no such thing")

    with pytest.raises(SinkError, match=r"partitioner= raised ValueError: no such thing on 'a'"):
        encode(["a"], partitioner=picky)


def test_a_record_that_is_too_large_is_named_before_any_is_written() -> None:
    """One such record would fail a whole batch at the broker."""
    with pytest.raises(SinkError, match=r"a record of 120 bytes is too large for the topic small.* 110") as e:
        encode(["x", "y" * 20], topic="small")
    assert not e.value.retryable
    assert "'yyyy" in str(e.value)
    with pytest.raises(SinkError, match="too large for the topic small"):
        encode(["one", "small" + "y" * 20], topic=lambda value: value[:5].strip("y"))


@pytest.mark.parametrize("topic", ["kept", lambda value: "kept"])
def test_a_record_without_the_key_that_a_compacted_topic_needs_is_named(topic: Any) -> None:
    with pytest.raises(
        SinkError, match="kept is compacted and accepts no record without a key: 'b'"
    ) as error:
        encode(["a", "b"], topic=topic, key={"a": "k", "b": None}.get)
    assert not error.value.retryable
    with pytest.raises(SinkError, match="accepts no record without a key: 'a'"):
        encode(["a", "b"], topic=topic)
    assert encode(["a"], topic=topic, key=str).keys == [b"a"]


@pytest.mark.parametrize("topic", ["recent", lambda value: "recent"])
def test_a_time_that_the_topic_does_not_take_is_named(topic: Any) -> None:
    """It is 5 ms after 1970."""
    assert encode(["3", "6"], topic=topic, timestamp=int).timestamps == [3, 6]
    with pytest.raises(SinkError, match="does not accept the time 7, 2 ms ahead of the clock: '7'"):
        encode(["3", "7"], topic=topic, timestamp=int)
    with pytest.raises(SinkError, match="does not accept the time 2, 3 ms behind the clock: '2'"):
        encode(["3", "2"], topic=topic, timestamp=int)
    assert encode(["a"], topic=topic).timestamps == 5, "the time of the writing is nobody's fault"


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
