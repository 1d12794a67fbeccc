"""`to_config` of source and sink: every argument is in it, secrets and functions are named only."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from connectors.kafka import Avro, Bytes, Json, KafkaSink, KafkaSource, Text
from connectors.kafka.formats import Format
from pipeline.core.policy import ErrorPolicy
from pipeline.spi.connector_config import config_of


class Order(msgspec.Struct):
    id: int


class Own(Format[str]):
    @property
    def name(self) -> str:
        return "own"

    def decoder(self, topic: str, field: Any) -> Any:
        return bytes.decode

    def encoder(self, topic: str, field: Any) -> Any:
        return str.encode


def origin_of(order: Order) -> str:
    return str(order.id)


SOURCE: dict[str, Any] = {
    "topics": ["a", "b"],
    "bootstrap_servers": "host:9092",
    "start": datetime(2026, 1, 1, tzinfo=UTC),
    "stop": {"a": {0: 7}},
    "value": Json(Order),
    "key": Text(),
    "metadata": True,
    "on_error": ErrorPolicy.skip(),
    "group_id": "shown",
    "isolation": "read_uncommitted",
    "discovery_interval": timedelta(seconds=2),
    "config": {"sasl.username": "me", "sasl.password": "hidden"},
}

SINK: dict[str, Any] = {
    "topic": "a",
    "bootstrap_servers": "host:9092",
    "value": Avro("http://r", schema="{}", config={"basic.auth.user.info": "me:hidden"}),
    "key": origin_of,
    "partitioner": lambda key, count: 0,
    "headers": lambda order: [],
    "timestamp": lambda order: 1,
    "guarantee": "at-least-once",
    "transactional_id": "mine",
    "marks_topic": "marks",
    "transaction_timeout": timedelta(minutes=1),
    "epoch_max_bytes": 1 << 20,
    "commit_timeout": timedelta(seconds=5),
    "config": {"ssl.key.pem": "hidden", "linger.ms": 5},
}

DATA_NAMES = {"topics": "topic", "bootstrap_servers": "bootstrap.servers", "group_id": "group.id"}
"""What a stored definition calls an argument; one of several topics is `topic`."""


def test_a_source() -> None:
    config = config_of(KafkaSource(**SOURCE))
    assert config.to_data() == {
        "type": "kafka",
        "config": {
            "topics": ["a", "b"],
            "bootstrap.servers": "host:9092",
            "start": "2026-01-01T00:00:00+00:00",
            "stop": {"a": {"0": 7}},
            "value": {"type": "json", "kind": {"$code": "Order"}, "non_finite": "refuse"},
            "key": {"type": "text"},
            "metadata": True,
            "on_error": "skip",
            "group.id": "shown",
            "isolation": "read_uncommitted",
            "discovery_interval": 2000,
            "config": {"sasl.username": "me", "sasl.password": {"$secret": "config.sasl.password"}},
        },
    }
    assert config.secrets == {"config.sasl.password": "hidden"}
    assert config.code == {"value.kind": Order}


def test_a_sink() -> None:
    config = config_of(KafkaSink(**SINK))
    assert config.to_data() == {
        "type": "kafka",
        "config": {
            "topic": "a",
            "bootstrap.servers": "host:9092",
            "value": {
                "type": "avro",
                "registry": "http://r",
                "schema": "{}",
                "config": {"basic.auth.user.info": {"$secret": "value.config.basic.auth.user.info"}},
            },
            "key": {"$code": "origin_of"},
            "partitioner": {"$code": "<lambda>"},
            "headers": {"$code": "<lambda>"},
            "timestamp": {"$code": "<lambda>"},
            "guarantee": "at-least-once",
            "transactional_id": "mine",
            "marks_topic": "marks",
            "transaction_timeout": 60_000,
            "epoch_max_bytes": 1 << 20,
            "commit_timeout": 5000,
            "config": {"ssl.key.pem": {"$secret": "config.ssl.key.pem"}, "linger.ms": 5},
        },
    }
    assert set(config.secrets.values()) == {"hidden", "me:hidden"}
    assert config.code.keys() == {"key", "partitioner", "headers", "timestamp"}
    assert config.code["key"] is origin_of


@pytest.mark.parametrize(("connector", "given"), [(KafkaSource, SOURCE), (KafkaSink, SINK)])
def test_no_argument_is_forgotten(connector: Any, given: dict[str, Any]) -> None:
    """An argument that is added later must be added there too."""
    arguments = set(inspect.signature(connector).parameters)
    assert arguments - {"pattern"} == given.keys()
    data = config_of(connector(**given)).options
    expected = {DATA_NAMES.get(name, name) for name in given} - {"topic"}
    assert data.keys() - {"topics", "topic"} == expected
    assert "hidden" not in json.dumps(data)


def test_defaults_are_in_it_and_what_the_machine_adds_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A definition means the same after a default has changed, and is stored without a machine's secrets."""
    monkeypatch.setenv("PIPELINE_KAFKA", "elsewhere:9092")
    assert config_of(KafkaSource("a")).options == {
        "topic": "a",
        "start": "earliest",
        "value": {"type": "json", "non_finite": "refuse"},
        "metadata": False,
        "on_error": "fail",
        "isolation": "read_committed",
        "discovery_interval": 5000,
    }


def test_a_pattern_a_topic_function_and_formats_of_each_kind() -> None:
    assert config_of(KafkaSource(pattern="a.*")).options["pattern"] == "a.*"
    assert config_of(KafkaSink(origin_of)).options["topic"] == {"$code": "origin_of"}
    assert config_of(KafkaSource("a", value=Bytes())).options["value"] == {"type": "bytes"}
    assert config_of(KafkaSource("a", value=bytes.decode)).options["value"] == {"$code": "bytes.decode"}
    assert config_of(KafkaSource("a", value=Own())).options["value"] == {"$code": "own"}
    assert config_of(KafkaSource("a", value=Json(list[int]))).options["value"]["kind"] == {
        "$code": "list[int]"
    }
