"""The crash tests are able to fail: with a bug in the protocol, a kill shows in the output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .numbers_job import expected, manifests, write_input

COUNT = 1500
PLANTED = Path(__file__).with_name("planted.py")


def rows(shop: Any) -> list[bytes]:
    """The visible rows of all part files, in order, without their headers."""
    visible = shop.outputs().get("numbers.csv", b"")
    return [line for line in visible.splitlines(keepends=True) if not line.startswith(b"n")]


def decided(shop: Any) -> int:
    """How many rows the newest manifest has decided."""
    stored = manifests(shop.folder)
    if not stored:
        return 0
    (states,) = json.loads(stored[-1].read_text())["sink_state"].values()
    return states[0]["rows_written"]


def survives(shop: Any, points: list[str]) -> bool:
    """Die at every point, then complete; return whether all that was ever visible is right.

    It ends with the first that is not: a next run may find that too, and refuse to continue.
    """
    for point in points:
        shop.die_at(point)
        if len(rows(shop)) > decided(shop):
            return False
    shop.complete()
    return b"n,doubled\n" + b"".join(rows(shop)) == expected(COUNT)["numbers.csv"]


@pytest.mark.parametrize(
    ("bug", "points"),
    [
        ("commit_before_the_manifest", ["P6:3", "P6:2"]),
        ("position_too_early", ["P10:3", "P10:2"]),
        ("position_too_late", ["P10:3", "P10:2"]),
    ],
)
def test_a_planted_bug_is_caught(bug: str, points: list[str], workshop: Callable[..., Any]) -> None:
    """With the bug the records are not each there once; without it, killed in the same places, they are."""
    right = workshop("numbers", ROLLING="yes")
    write_input(right.folder, COUNT)
    assert survives(right, points)
    wrong = workshop("numbers", ROLLING="yes")
    wrong.program = (sys.executable, str(PLANTED), bug)
    write_input(wrong.folder, COUNT)
    assert not survives(wrong, points)
