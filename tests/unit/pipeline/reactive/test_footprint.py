"""footprint: large records look large, whatever they are made of."""

from __future__ import annotations

from collections import UserDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from pipeline.reactive.footprint import footprint

MEGABYTE = 1_000_000


@dataclass
class Plain:
    body: str


@dataclass(slots=True)
class Slotted:
    body: str


class Named(NamedTuple):
    body: str


BODY = "x" * MEGABYTE


@pytest.mark.parametrize(
    "record",
    [
        BODY,
        BODY.encode(),
        (BODY,),
        [BODY],
        {BODY},
        {"body": BODY},
        UserDict(body=BODY),
        Plain(BODY),
        Slotted(BODY),
        Named(BODY),
        {"rows": [{"body": BODY}]},
        [0] * (MEGABYTE // 8),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_large_record_is_seen_to_be_large(record: Any) -> None:
    assert 0.9 * MEGABYTE < footprint(record) < 5 * MEGABYTE


def test_what_is_not_looked_at_is_taken_to_be_like_the_rest() -> None:
    """Ten thousand strings of a kilobyte: about ten megabytes, though few are looked at."""
    strings = ["x" * 1_000 + str(number) for number in range(10_000)]
    nested = [strings[first : first + 10] for first in range(0, 10_000, 10)]
    for record in (strings, nested, {"nested": nested}):
        assert 8 * MEGABYTE < footprint(record) < 13 * MEGABYTE


@pytest.mark.parametrize("record", [None, 7, True, "", b"", (), {"carrier": "UA", "delay": 12.5}])
def test_a_small_record_is_small(record: Any) -> None:
    assert 1 <= footprint(record) < 500


def test_a_record_that_refers_to_itself_is_measured_too() -> None:
    record: list[Any] = []
    record.append(record)
    assert footprint(record) > 0


def test_a_record_does_not_own_its_class() -> None:
    assert footprint(Plain("")) < 500
