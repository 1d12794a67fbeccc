"""kill -9 while a buffer with a strategy is full: what it held is delivered by the next run, once."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from .numbers_job import expected, write_input

COUNT = 1500
POINTS = ["P0:20", "P1:3", "P4:3", "P5:2", "P6:2", "P7:2", "P10:2", "P12", "P13:2", "P14:2", "P15", "P17"]
RECOVERY = ["P16a", "P16a:2", "P16b"]


def shop_with_input(workshop: Callable[..., Any], strategy: str) -> Any:
    shop = workshop("buffered", STRATEGY=strategy)
    write_input(shop.folder, COUNT)
    return shop


@pytest.mark.parametrize("point", POINTS)
def test_a_full_buffer_survives_a_crash(point: str, workshop: Callable[..., Any]) -> None:
    """The output is that of an undisturbed run, byte for byte."""
    shop = shop_with_input(workshop, "BUFFER")
    shop.die_at(point)
    shop.complete()
    assert shop.outputs() == expected(COUNT)
    assert shop.leftovers() == []


@pytest.mark.parametrize("second", RECOVERY)
def test_and_another_one_during_the_recovery(second: str, workshop: Callable[..., Any]) -> None:
    shop = shop_with_input(workshop, "BUFFER")
    shop.die_at("P10:3")
    shop.die_at(second)
    shop.complete()
    assert shop.outputs() == expected(COUNT)


@pytest.mark.parametrize("strategy", ["DROP", "LATEST"])
@pytest.mark.parametrize("point", ["P1:2", "P6:2", "P10:2"])
def test_what_was_accepted_is_delivered_or_counted(
    strategy: str, point: str, workshop: Callable[..., Any]
) -> None:
    """Over the crash: in = out + dropped, no record twice, all in order."""
    shop = shop_with_input(workshop, strategy)
    shop.die_at(point)
    done = shop.complete()
    lines = shop.outputs()["numbers.csv"].decode().splitlines()[1:]
    numbers = [int(line.partition(",")[0]) for line in lines]
    dropped = re.search(r"dropped +([\d,]+)", done.stderr)
    assert numbers == sorted(set(numbers))
    assert len(numbers) + int(dropped[1].replace(",", "") if dropped else 0) == COUNT
