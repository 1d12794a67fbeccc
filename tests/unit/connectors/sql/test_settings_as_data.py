"""`to_config` of a query: every argument is in it, and the DSN, which may have a password, is kept apart."""

from __future__ import annotations

import inspect
import json
from decimal import Decimal
from typing import Any

import pytest

from connectors import SqlQuerySource
from pipeline.core.errors import ConfigError
from pipeline.spi.connector_config import config_of

DSN = "postgresql://me:hidden@host/db"
SOURCE: dict[str, Any] = {
    "sql": "SELECT * FROM t WHERE a > %s",
    "key": ("a", "b"),
    "dsn": DSN,
    "parameters": [5],
    "rows": "tuple",
    "fetch_size": 7,
}


def test_a_query() -> None:
    config = config_of(SqlQuerySource(**SOURCE))
    changed = {"key": ["a", "b"], "dsn": {"$secret": "dsn"}}
    assert config.to_data() == {"type": "sql", "config": {**SOURCE, **changed}}
    assert config.secrets == {"dsn": DSN}
    assert "hidden" not in json.dumps(config.options) + repr(config)


def test_no_argument_is_forgotten() -> None:
    assert SOURCE.keys() == set(inspect.signature(SqlQuerySource).parameters)
    assert config_of(SqlQuerySource(**SOURCE)).options.keys() == SOURCE.keys()


def test_defaults_are_in_it_and_what_the_machine_adds_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_DSN", DSN)
    options = {"sql": "SELECT 1", "rows": "dict", "fetch_size": 500}
    assert config_of(SqlQuerySource("SELECT 1")).options == options


def test_a_parameter_that_is_not_a_data_is_refused_by_its_place() -> None:
    source = SqlQuerySource("SELECT %(least)s", parameters={"least": Decimal("1.5")})
    with pytest.raises(
        ConfigError, match=r"parameters\.least of a sql connector cannot be expressed as data"
    ):
        config_of(source)
