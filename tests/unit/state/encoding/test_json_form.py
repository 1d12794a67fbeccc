"""The JSON form: readable by people, and as faithful as the binary one."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from pipeline.core.errors import EncodingError
from state.encoding import from_json, to_json
from tests.unit.state.values import DECLARED, Trade, picture, values


@settings(max_examples=150, deadline=None)
@given(values())
def test_every_value_comes_back_the_same(value: Any) -> None:
    """Through either library that reads manifests: equal, and of the same types all the way down."""
    stored = to_json(value, value_type=DECLARED)
    text = json.dumps(stored, allow_nan=False)
    assert picture(from_json(json.loads(text), value_type=DECLARED)) == picture(value)
    assert picture(
        from_json(msgspec.json.decode(msgspec.json.encode(stored)), value_type=DECLARED)
    ) == picture(value)


def test_plain_json_stays_itself() -> None:
    """A position of plain values reads in a manifest as it was written."""
    value = {"page": 7, "last": None, "open": [True, 1.5, "x", {}]}
    assert to_json(value) == value


def test_example() -> None:
    """The example in the docstring of `to_json`."""
    assert to_json({"page": 7, "last": Decimal("1.20")}) == {"page": 7, "last": {"$decimal": "1.20"}}


@pytest.mark.parametrize(
    "value",
    [{"$decimal": "1.20"}, {"$": 1, "a": 2}, {"a": {"$x": []}}, {"$dict": []}, {"\ud800": 1}],
    ids=repr,
)
def test_keys_that_look_like_tags_are_data(value: Any) -> None:
    """A user's dict never turns into something else, whatever its keys."""
    assert picture(from_json(json.loads(json.dumps(to_json(value))))) == picture(value)


@pytest.mark.parametrize("value", [[True, None], {"a": None}, [{"a": True}], ([None],)], ids=repr)
def test_what_is_returned_shares_nothing_with_the_value(value: Any) -> None:
    """An operator may continue to change its state while the manifest is being written."""
    stored = to_json({"held": value})
    text = json.dumps(stored)
    (value if isinstance(value, list | dict) else value[0]).clear()
    assert json.dumps(stored) == text


def test_classes_come_back_where_they_are_declared() -> None:
    stored = to_json(Trade("x", 1), value_type=Trade)
    assert stored == {"$declared": ["Trade", {"symbol": "x", "price": 1}]}
    assert from_json(stored, value_type=Trade) == Trade("x", 1)
    with pytest.raises(EncodingError, match="position of source s: stored is a Trade") as refused:
        from_json(stored, owner="position of source s")
    assert refused.value.hint == "declare it: value_type=Trade"


def test_what_cannot_be_stored_is_refused_by_owner_and_type() -> None:
    with pytest.raises(EncodingError, match=r"position of source s: a builtins.object cannot be stored"):
        to_json([object()], owner="position of source s")


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"$new": 1}, r"the tag '\$new' is unknown — a newer version may have written it"),
        ({"$decimal": "1", "b": 2}, r"an object with the tag '\$decimal' has other keys too"),
        ([b"x"], "a bytes is not a JSON value"),
        ({1: 2}, "stored JSON cannot be read"),
        ({"$declared": ["Trade"]}, "stored JSON cannot be read"),
    ],
)
def test_what_to_json_did_not_write_is_refused(stored: Any, message: str) -> None:
    with pytest.raises(EncodingError, match=message):
        from_json(stored, value_type=Trade)
