"""`to_config` of the connectors without an external system."""

from __future__ import annotations

import inspect
import sys
from datetime import date
from typing import Any

import pytest

from connectors import CollectionSource, CollectSink, ConsoleSink, GeneratorSource
from pipeline.core.errors import ConfigError
from pipeline.spi.connector_config import config_of


def square(index: int) -> int:
    return index * index


def test_a_generator() -> None:
    config = config_of(GeneratorSource(square, rate=2.5, count=10))
    expected = {"fn": {"$code": "square"}, "rate": 2.5, "count": 10}
    assert config.to_data() == {"type": "generator", "config": expected}
    assert config.code == {"fn": square}
    assert set(expected) == set(inspect.signature(GeneratorSource).parameters)
    assert config_of(GeneratorSource(square)).options == {"fn": {"$code": "square"}}


def test_a_console() -> None:
    """A stream is an open file of this process."""
    assert config_of(ConsoleSink()).to_data() == {"type": "console", "config": {"format": {"$code": "str"}}}
    assert config_of(ConsoleSink(repr)).code == {"format": repr}
    assert {"format", "stream"} == set(inspect.signature(ConsoleSink).parameters)
    with pytest.raises(ConfigError, match="stream of a console connector cannot be expressed as data"):
        config_of(ConsoleSink(stream=sys.stderr))


def test_a_collecting_sink() -> None:
    assert config_of(CollectSink[Any]()).to_data() == {"type": "collect", "config": {}}


RECORDS: list[Any] = [{"a": None, "b": [1, 2.5, True]}, "x", None, -1, {}]


@pytest.mark.parametrize("values", [RECORDS, tuple(RECORDS), range(3), []])
def test_a_collection_that_is_data(values: Any) -> None:
    config = config_of(CollectionSource(values))
    assert config.to_data() == {"type": "collection", "config": {"values": list(values)}}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (iter([1]), "an iterator can be read once only"),
        ([(1, 2)], "a record comes back from JSON as another one"),
        ([date(2026, 1, 1)], "a record comes back"),
        ([{1: "a"}], "a record comes back"),
        ([float("nan")], "a record comes back"),
        ([{"a": {"$secret": "b"}}], "a record comes back"),
    ],
)
def test_a_collection_that_is_not_a_data(values: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot be expressed as data: {reason}"):
        config_of(CollectionSource(values))
