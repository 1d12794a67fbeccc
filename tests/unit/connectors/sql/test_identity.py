"""Identity: a position is continued in the database it was taken of, and in no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.sql.identity import DatabaseName, check_unchanged
from pipeline.core.errors import Fault, SourceError

SHOP = DatabaseName("7714", 16_384, "shop", ["public"])


def check(was: Any, now: DatabaseName) -> None:
    """Compare with what a checkpoint has stored."""
    check_unchanged(json.loads(json.dumps({"database": was and was._asdict()})), {"database": now._asdict()})


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (SHOP, SHOP),
        (None, SHOP),
        (SHOP._replace(system=None), SHOP),
        (SHOP, SHOP._replace(system=None)),
    ],
    ids=["same", "older checkpoint", "could not be read then", "cannot be read now"],
)
def test_the_same_database_is_continued(was: Any, now: DatabaseName) -> None:
    check(was, now)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": "7715"}, r"it was 'shop' \(oid 16384\) of system 7714, now it is .* of system 7715"),
        ({"name": "other"}, r"it was 'shop' .* now it is 'other' \(oid 16384\) of system 7714"),
        ({"oid": 16_390}, r"it was 'shop' \(oid 16384\).* now it is 'shop' \(oid 16390\)"),
        ({"schemas": ["b", "public"]}, "they were public, now they are b, public.*restore search_path"),
    ],
)
@pytest.mark.parametrize("system", ["7714", None])
def test_another_one_is_refused(change: dict[str, Any], message: str, system: str | None) -> None:
    was = SHOP._replace(system=system)
    if "system" in change:
        was = SHOP
    if was.system is None:
        message = message.replace(" of system 7714", "")
    with pytest.raises(SourceError, match=message) as raised:
        check(was, was._replace(**change))
    assert (raised.value.retryable, raised.value.fault) == (False, Fault.CONFIG)
    assert "--fresh" in str(raised.value)


def test_a_time_zone_that_an_older_checkpoint_did_not_need_is_not_compared() -> None:
    check_unchanged({"time_zone": None}, {"time_zone": "UTC"})
    with pytest.raises(SourceError, match="the time zone of the database session changed"):
        check_unchanged({"time_zone": "UTC"}, {"time_zone": "Asia/Tokyo"})
