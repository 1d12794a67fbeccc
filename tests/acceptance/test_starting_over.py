"""Part files over several runs: what was given up goes, and what was completed follows the user's choice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

ROWS = 5000


@pytest.fixture
def shop(workshop: Callable[..., Any]) -> Any:
    shop = workshop("parts")
    (shop.folder / "in.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(ROWS)))
    return shop


def rows(shop: Any) -> int:
    return sum(1 for line in shop.outputs()["all.csv"].splitlines() if line != b"n")


@pytest.mark.parametrize("again", [[], ["P12"], ["P0", "P1"]], ids=["once", "again", "early, twice"])
def test_what_a_run_left_that_is_given_up_is_replaced(again: list[str], shop: Any) -> None:
    """Whatever else dies on the way; the runs after --fresh need not say it again."""
    shop.die_at("P13:2")
    assert rows(shop) > 0
    options = ["--fresh"]
    for point in again:
        done = shop.run(*options, PIPELINE_FAULTPOINT=point)
        assert done.returncode < 0
        options = []
    shop.complete(*options)
    assert rows(shop) == ROWS
    assert shop.leftovers() == []


@pytest.mark.parametrize(("existing", "expected"), [("append", 2 * ROWS), ("replace", ROWS)])
def test_of_two_complete_runs_the_user_chooses(existing: str, expected: int, shop: Any) -> None:
    shop.complete()
    done = shop.complete(EXISTING=existing)
    assert rows(shop) == expected
    assert ("parts are from before this run" in done.stderr) == (existing == "append")


def test_parts_that_are_there_are_refused_on_wish(shop: Any) -> None:
    shop.complete()
    done = shop.run(EXISTING="refuse")
    assert done.returncode == 1
    assert "already exist" in done.stderr
    assert 'existing="append"' in done.stderr
    assert rows(shop) == ROWS
