"""Json: a number that JSON does not have is refused with its place, or written as null where asked for."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.kafka import Json
from connectors.kafka.non_finite import FiniteEncoder
from pipeline.core.errors import ConfigError


class Reading(msgspec.Struct):
    value: float | None


@dataclasses.dataclass
class Point:
    at: tuple[float, float]


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (math.nan, "it is nan"),
        ({"delay": math.nan}, "['delay'] is nan"),
        ({"delay": -math.nan}, "['delay'] is nan"),
        ({"a": None, "b": [1.0, {"c": math.inf}]}, "['b'][1]['c'] is inf"),
        ({"a": (-math.inf,)}, "['a'][0] is -inf"),
        (Reading(math.nan), "['value'] is nan"),
        (Point((0.0, math.inf)), "['at'][1] is inf"),
        ({"whole": 10**30, "x": math.nan}, "['x'] is nan"),
    ],
)
def test_a_number_that_json_does_not_have_is_refused_with_its_place(value: Any, place: str) -> None:
    """It would become `null`, and be read as a value that is missing."""
    encode = Json().encoder("t", "value")
    with pytest.raises(ValueError, match="for which JSON has no number") as error:
        encode(value)
    assert str(error.value).startswith(f"{place}, ")


@pytest.mark.parametrize(
    "value",
    [
        {"a": None},
        {"a": "null"},
        {"a": None, "b": 1.5e308, "c": -0.0, "d": 5e-324},
        {"a": None, "b": 10**30},
        {"a": None, "b": "\u07ff\u07f8", "c": b"\xcb\x7f\xf8"},
        {"a": None, "b": Decimal("NaN")},
        Reading(None),
        [],
    ],
)
def test_what_json_has_is_written_as_before(value: Any) -> None:
    """Nulls of the record's own among them, and bytes that look like such a number when packed."""
    assert Json().encoder("t", "value")(value) == msgspec.json.encode(value)


def test_null_is_a_choice() -> None:
    assert Json(non_finite="null").encoder("t", "value")({"a": math.nan}) == b'{"a":null}'
    with pytest.raises(ConfigError, match="non_finite must be 'refuse' or 'null', not 'zero'"):
        Json(non_finite="zero")  # type: ignore[arg-type] - what a user may write


def test_a_batch_is_encoded_as_its_records_are() -> None:
    encode = FiniteEncoder(msgspec.json.encode)
    records = [{"n": n, "of": None} for n in range(3)]
    assert encode.batch(records) == [encode(record) for record in records]
    with pytest.raises(ValueError, match=r"\['n'\] is nan"):
        encode.batch([*records, {"n": math.nan}])
