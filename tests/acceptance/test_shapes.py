"""kill -9 at many points in one life of a job, for jobs of other shapes than one source and one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from .numbers_job import write_input

COUNT = 1200
SHORT = 40
pytestmark = pytest.mark.timeout(400)
"""Seconds: a dozen processes one after the other, on a machine that may have other work."""

UNDECIDED = ["P17", "P0:4", "P1", "P3:2", "P16c", "P4:2", "P5:2", "P6"]
UNDECIDED_WITHOUT_STATE = [point for point in UNDECIDED if point != "P5:2"]
"""A buffer that its reader has emptied has nothing to store."""
DECIDED = ["P7:2", "P16a", "P10:2", "P16b", "P12:2", "P13:2", "P14:2"]


def lines(shop: Any, name: str) -> Counter[bytes]:
    """The visible records of a sink, without the headers of its files."""
    found = shop.outputs().get(name, b"").splitlines()
    return Counter(line for line in found if line != b"n")


def numbers(count: int) -> Counter[bytes]:
    return Counter(b"%d" % n for n in range(count))


def of_unequal(shop: Any) -> dict[str, Counter[bytes]]:
    write_input(shop.folder, SHORT, "short.csv")
    keys = Counter(n % 7 for n in [*range(COUNT), *range(SHORT)])
    counts = (b'{"key":%d,"count":%d}' % (key, at + 1) for key, most in keys.items() for at in range(most))
    return {"all.csv": numbers(COUNT) + numbers(SHORT), "counts.jsonl": Counter(counts)}


def of_joined(shop: Any) -> dict[str, Counter[bytes]]:
    write_input(shop.folder, SHORT, "short.csv")
    pairs = (
        b'{"left":%d,"right":%d}' % (left, right)
        for left in range(SHORT)
        for right in range(left % 7, COUNT, 7)
    )
    ends = {b'{"ended":0}': 2, b'{"ended":1}': 2}  # of each input, in each subtask
    return {"all.jsonl": Counter(pairs) + Counter(ends)}


def of_lanes(shop: Any) -> dict[str, Counter[bytes]]:
    return {"all.jsonl": Counter(b'{"n":%d}' % n for n in range(COUNT))}


def of_broken(shop: Any) -> dict[str, Counter[bytes]]:
    return {"all.csv": numbers(3 * COUNT)}


def of_once(shop: Any) -> dict[str, Counter[bytes]]:
    return {"all.csv": numbers(COUNT)}


@pytest.mark.parametrize(
    ("shape", "expect", "points"),
    [
        ("unequal", of_unequal, [*UNDECIDED, *DECIDED, "P11"]),
        ("joined", of_joined, [*UNDECIDED, *DECIDED]),
        ("lanes", of_lanes, [*UNDECIDED_WITHOUT_STATE, *DECIDED]),
        ("broken", of_broken, ["P0:4", "P4:2", "P7:2", "P10:2", "P14:2"]),
        ("once", of_once, ["P0:4", "P1", "P4", "P6", "P7"]),
    ],
)
def test_each_record_is_there_once(
    shape: str,
    expect: Callable[[Any], dict[str, Counter[bytes]]],
    points: list[str],
    workshop: Callable[..., Any],
) -> None:
    """At the end; and whenever it died nothing is visible twice, or that does not belong there."""
    shop = workshop(f"shapes:{shape}")
    write_input(shop.folder, COUNT)
    expected = expect(shop)
    for point in points:
        shop.die_at(point)
        assert all(lines(shop, name) <= right for name, right in expected.items()), point
    shop.complete()
    assert {name: lines(shop, name) for name in expected} == expected
    assert shop.leftovers() == []
