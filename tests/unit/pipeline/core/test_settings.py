"""A setting is one line: reading, checking and explaining it follow from its kind."""

from __future__ import annotations

from dataclasses import fields

import pytest

from pipeline.core.config import KINDS, UNSET, JobConfig
from pipeline.core.errors import ConfigError
from pipeline.core.settings import optional, whole


def test_every_setting_has_a_kind() -> None:
    assert [field.name for field in fields(JobConfig)] == list(KINDS)


def test_what_none_and_unset_mean_is_said_wherever_they_occur() -> None:
    """`explain` shows them in words."""
    for field in fields(JobConfig):
        kind = KINDS[field.name]
        if field.default is None and field.name != "checkpoint_dir":
            assert kind.none
    assert [name for name, kind in KINDS.items() if kind.unset] == ["buffer_size"]
    assert JobConfig().buffer_size is UNSET


def test_a_secret_is_not_shown() -> None:
    """Neither in the settings as text nor in the error for an impossible one."""
    assert "pass" not in repr(JobConfig(s3_secret_key="pass"))
    with pytest.raises(ConfigError, match="s3_secret_key must be a text, not the value given"):
        JobConfig(s3_secret_key=b"pass")  # type: ignore[arg-type]


def test_a_place_in_a_store_stays_a_url() -> None:
    """As a path it would lose a slash."""
    assert KINDS["checkpoint_dir"].read("s3://bucket/a") == "s3://bucket/a"


def test_an_optional_one_is_checked_where_it_is_on() -> None:
    kind = optional(whole(1), "off")
    kind.check("rows", None)
    assert (kind.read("off"), kind.read("5")) == (None, 5)
    with pytest.raises(ConfigError, match="rows must be at least 1, not 0"):
        kind.check("rows", 0)
    with pytest.raises(ValueError, match="expected a whole number, or off"):
        kind.read("many")
