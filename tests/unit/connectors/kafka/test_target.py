"""Target: what a topic's settings, and the client's limit, mean for the records of a sink."""

from __future__ import annotations

import pytest

from connectors.kafka.partitions import Topic
from connectors.kafka.target import Target
from pipeline.core.errors import SinkError

CLIENT_LIMIT = 1_000


def target(**settings: str) -> Target:
    found = {name.replace("_", "."): value for name, value in settings.items()}
    return Target.of(Topic("id", 3), found, CLIENT_LIMIT)


@pytest.mark.parametrize(
    ("topic_limit", "limit", "named"),
    [
        ("500", 500, r"the topic's max\.message\.bytes is 500: .*or raise the topic's max\.message\.bytes"),
        ("1000", 1000, r"the topic's max\.message\.bytes is 1,000: "),
        ("9999", 1000, r"message\.max\.bytes in config= is 1,000: .*or raise message\.max\.bytes in config="),
    ],
)
def test_the_limit_that_a_record_exceeds_is_the_one_that_is_named(
    topic_limit: str, limit: int, named: str
) -> None:
    """The topic's or the client's: raising the other one would change nothing."""
    found = target(max_message_bytes=topic_limit)
    assert found.max_record_bytes == limit
    with pytest.raises(SinkError, match=named):
        found.check("t", limit + 1, None, 0, 0, "x")
    found.check("t", limit, None, 0, 0, "x")


def test_of_a_topic_whose_settings_are_secret_the_clients_limit_is_known() -> None:
    found = Target.of(Topic("id", 3), {}, CLIENT_LIMIT)
    assert found == Target(3, CLIENT_LIMIT, "message.max.bytes in config=", "id")


@pytest.mark.parametrize(
    ("policy", "compacted"), [("delete", False), ("compact", True), ("compact,delete", True)]
)
def test_a_compacted_topic_needs_keys(policy: str, compacted: bool) -> None:
    assert target(cleanup_policy=policy).compacted is compacted


def test_times_have_the_limits_of_the_topic() -> None:
    """A broker that stamps records itself takes any; one before Kafka 3.6 has one limit for both sides."""
    limits = {"message_timestamp_before_max_ms": "7", "message_timestamp_after_max_ms": "8"}
    found = target(message_timestamp_type="CreateTime", **limits)
    assert (found.behind_ms, found.ahead_ms) == (7, 8)
    old = target(message_timestamp_type="CreateTime", message_timestamp_difference_max_ms="9")
    assert (old.behind_ms, old.ahead_ms) == (9, 9)
    stamped = target(message_timestamp_type="LogAppendTime", **limits)
    assert (stamped.behind_ms, stamped.ahead_ms) == (None, None)
