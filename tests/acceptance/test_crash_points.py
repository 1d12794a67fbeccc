"""kill -9 at every crash point of a local run: the output is that of an undisturbed run, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pipeline.core.faults import FAULTPOINTS

from .conftest import Workshop
from .side_by_side import side_by_side

ROWS = 2000
pytestmark = pytest.mark.timeout(400)
"""Seconds: tens of processes one after the other, on a machine that may have other work."""

LIVES = [
    ["P17", "P0:2", "P1", "P3", "P16c", "P4", "P5", "P6"],
    ["P7", "P16a", "P10", "P16b", "P11", "P12", "P13", "P14", "P15"],
]
"""Every crash point, before and after the decision: the recoveries where there is something to recover."""

FIRST = {
    "P16a": ["P3:4", "P7:3", "P11:2", "P13:2"],
    "P16b": ["P7:3", "P11:2", "P13:2"],
    "P16c": ["P3:4", "P11:2"],
}
"""Where to die before a recovery: with nothing, nothing yet, a part and all of what is decided committed."""


@dataclass(frozen=True)
class Scene:
    """A database with orders, and what an undisturbed run makes of it."""

    dsn: str
    expected: dict[str, bytes]


@pytest.fixture(scope="module")
def orders(postgres: str) -> Iterator[str]:
    """The DSN of a schema with a table of orders."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS crash_points CASCADE")
        connection.execute("CREATE SCHEMA crash_points")
        connection.execute(
            sql.SQL(
                "CREATE TABLE crash_points.orders AS SELECT n::bigint AS id, 'c' || n % 37 AS customer,"
                " (n % 1000)::numeric / 8 AS amount FROM generate_series(1, {}) AS n"
            ).format(ROWS)
        )
        connection.execute("ALTER TABLE crash_points.orders ADD PRIMARY KEY (id)")
        try:
            yield make_conninfo(postgres, options="-c search_path=crash_points")
        finally:
            connection.execute("DROP SCHEMA crash_points CASCADE")


@pytest.fixture(scope="module")
def undisturbed(orders: str, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    shop = Workshop(tmp_path_factory.mktemp("undisturbed"), "orders", {"PIPELINE_DSN": orders})
    shop.complete()
    expected = shop.outputs()
    assert len(expected["orders.csv"].splitlines()) == 1 + ROWS - ROWS // 1000
    assert len(expected["totals.jsonl"].splitlines()) == ROWS - ROWS // 1000
    assert len(expected["rejected.jsonl"].splitlines()) == ROWS // 1000
    return Scene(orders, expected)


def test_every_crash_point_is_survived(undisturbed: Scene, workshop: Callable[..., Any]) -> None:
    """An execution that dies at one after the other of them still writes each record once."""
    assert {point for life in LIVES for point in life} == set(FAULTPOINTS) - {"P0"} | {"P0:2"}

    def live(points: Sequence[str]) -> None:
        shop = workshop("orders", PIPELINE_DSN=undisturbed.dsn)
        for point in points:
            shop.die_at(point)
        shop.complete()
        assert shop.outputs() == undisturbed.expected, points
        assert shop.leftovers() == [], points

    side_by_side(live, LIVES)


@pytest.mark.parametrize("second", FIRST)
def test_recovery_dies_as_well(second: str, undisturbed: Scene, workshop: Callable[..., Any]) -> None:
    """Again during the recovery, after a first crash of each kind."""

    def scene(first: str) -> None:
        shop = workshop("orders", PIPELINE_DSN=undisturbed.dsn)
        shop.die_at(first)
        if second == "P16c":  # there is more to remove once a second attempt has died
            shop.die_at("P3")
        shop.die_at(second)
        shop.complete()
        assert shop.outputs() == undisturbed.expected, (first, second)
        assert shop.leftovers() == [], (first, second)

    side_by_side(scene, FIRST[second])
