"""ConnectorConfig: what a connector's settings are as data, and what is kept beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from connectors import CollectionSource
from pipeline.core.errors import ConfigError
from pipeline.core.policy import ErrorPolicy, SideTag
from pipeline.spi.connector_config import Code, ConnectorConfig, Secret, config_of


class Number(Enum):
    ONE = 1


class Word(StrEnum):
    CSV = "csv"


class Nested:
    def __init__(self, value: Any) -> None:
        self._value = value

    def to_config(self) -> Any:
        return self._value


def parse(value: str) -> int:
    return int(value)


def options(setting: Any) -> Any:
    return ConnectorConfig.of("kind", {"setting": setting}).options["setting"]


@pytest.mark.parametrize(
    ("setting", "data"),
    [
        ("text", "text"),
        (7, 7),
        (0.5, 0.5),
        (True, True),
        (timedelta(seconds=1.5), 1500),
        (timedelta(), 0),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (Path("a/b"), "a/b"),
        (Number.ONE, 1),
        (Word.CSV, "csv"),
        (("a", None, 1), ["a", None, 1]),
        (MappingProxyType({3: timedelta(seconds=1)}), {"3": 1000}),
        ({"given": 1, "not": None}, {"given": 1}),
        (ErrorPolicy.skip(), "skip"),
        (ErrorPolicy.dead_letter(SideTag("bad")), {"dead_letter": "bad"}),
        (Nested({"type": "json"}), {"type": "json"}),
        (Nested(parse), {"$code": "parse"}),
        (parse, {"$code": "parse"}),
        (dict, {"$code": "dict"}),
        (Nested, {"$code": "Nested"}),
        (Code(int | None, "int | None"), {"$code": "int | None"}),
    ],
)
def test_each_kind_of_setting_is_json(setting: Any, data: Any) -> None:
    found = options(setting)
    assert found == data
    assert type(found) is type(data)
    assert json.loads(json.dumps(found)) == data


def test_secrets_and_code_are_kept_beside_the_data_by_their_path() -> None:
    config = ConnectorConfig.of(
        "kafka", {"config": {"sasl.password": Secret("hidden")}, "on": [parse, Secret("too")], "user": "me"}
    )
    assert config.to_data() == {
        "type": "kafka",
        "config": {
            "config": {"sasl.password": {"$secret": "config.sasl.password"}},
            "on": [{"$code": "parse"}, {"$secret": "on.1"}],
            "user": "me",
        },
    }
    assert config.secrets == {"config.sasl.password": "hidden", "on.1": "too"}
    assert config.code == {"on.0": parse}
    assert "hidden" not in repr(config)
    assert "hidden" not in repr(Secret("hidden"))


def test_what_was_not_set_is_left_out() -> None:
    assert ConnectorConfig.of("kafka", {"key": None, "topic": "a"}).options == {"topic": "a"}


@pytest.mark.parametrize(
    "setting", [b"bytes", object(), float("nan"), 1j, [bytearray()], timedelta(microseconds=1)]
)
def test_what_is_not_data_is_refused(setting: Any) -> None:
    with pytest.raises(ConfigError):
        options({"inner": setting})


def test_a_refusal_names_the_setting() -> None:
    with pytest.raises(
        ConfigError, match=r"^where\.0 of a csv connector cannot be expressed as data: bytes is"
    ):
        ConnectorConfig.of("csv", {"where": [b""]})


def test_a_name_that_would_read_as_a_reference_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"setting\.\$secret of a kind connector .* begins with \$"):
        options({"$secret": "x"})


def test_a_connector_without_it_is_refused_by_name() -> None:
    class Own(CollectionSource[int]):
        to_config: Any = None

    with pytest.raises(ConfigError, match="Own cannot be expressed as data"):
        config_of(Own([1]))
