"""KafkaSource: what is refused before a broker is asked, and what it says of itself."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.kafka import Bytes, KafkaSource, Text
from pipeline.core.errors import ConfigError, MissingExtra
from pipeline.core.job import JobMode
from pipeline.core.policy import ErrorPolicy

CONTEXT: Any = SimpleNamespace(job_name="report")


def test_importing_it_does_not_import_the_client() -> None:
    """A job without Kafka does not pay for it."""
    program = "import sys, connectors.kafka; sys.exit('confluent_kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_missing_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("reading", "cluster", "reader", "errors", "decoding"):
        monkeypatch.delitem(sys.modules, f"connectors.kafka.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    source = KafkaSource("events", bootstrap_servers="localhost:9092")
    with pytest.raises(
        MissingExtra, match=r"confluent-kafka is not installed.*pip install 'confluent-kafka>="
    ):
        source.open(CONTEXT)


def test_a_missing_broker_says_where_it_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPELINE_KAFKA", raising=False)
    monkeypatch.delenv("PIPELINE_KAFKA_CONFIG", raising=False)
    with pytest.raises(ConfigError, match="expected bootstrap_servers= or the variable PIPELINE_KAFKA"):
        KafkaSource("events").open(CONTEXT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a topic, several different ones or pattern="),
        ({"topics": []}, "needs a topic"),
        ({"topics": ["a", "a"]}, "needs a topic"),
        ({"topics": ""}, "needs a topic"),
        ({"topics": "a", "pattern": "a"}, "needs a topic"),
        ({"pattern": "("}, "is not a regular expression"),
        ({"topics": "a", "start": "first"}, "start must be 'earliest', 'latest', 'group', a datetime or"),
        ({"topics": "a", "start": {"a": [1]}}, "start must be"),
        ({"topics": "a", "start": {"a": {0: -1}}}, "start must be"),
        ({"topics": "a", "stop": "earliest"}, "stop must be 'latest', a datetime or"),
        ({"topics": "a", "stop": datetime(2026, 1, 1)}, "has no time zone"),  # noqa: DTZ001 - the test's point
        ({"topics": "a", "key": Text()}, "give metadata=True too"),
        ({"topics": "a", "on_error": ErrorPolicy.retry(2)}, "must be fail, skip or dead_letter, not retry"),
        ({"topics": "a", "isolation": "none"}, "isolation must be 'read_committed' or 'read_uncommitted'"),
        ({"topics": "a", "discovery_interval": timedelta()}, "discovery_interval"),
        ({"topics": "a", "config": {"enable.auto.commit": True}}, "belongs to the engine"),
        ({"topics": "a", "config": {"group.id": "g"}}, "it is set by group_id="),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        KafkaSource(**arguments)


def test_what_it_says_of_itself() -> None:
    """The target is a part of the default uid, so the order of topics is the user's."""
    info = KafkaSource(["b", "a"], value=Bytes()).info
    assert (info.kind, info.target, info.mode, info.resumable) == ("kafka", "b,a", JobMode.STREAMING, True)
    assert KafkaSource(pattern="a.*").info.target == "a.*"


def test_no_text_of_it_shows_a_secret() -> None:
    source = KafkaSource("events", config={"sasl.password": "geheim"})
    assert "geheim" not in repr(source)
    assert "geheim" not in repr(vars(source))
