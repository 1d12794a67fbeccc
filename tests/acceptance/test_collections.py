"""A source whose records are gone with the process: the next run begins again, whatever was checkpointed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from typing import Any

import pytest

COUNT = 600
"""Records of `jobs/collected.py`."""


def made_by(run: str, count: int = COUNT) -> list[str]:
    return [f"{n},{run}" for n in range(count)]


def written(shop: Any) -> Sequence[str]:
    lines = shop.outputs()["collected.csv"].decode().splitlines()
    return [line for line in lines if line != "n,made_by"]  # each part has its header


@pytest.fixture
def shop(workshop: Callable[..., Any]) -> Any:
    return workshop("collected", MADE_BY="first")


@pytest.mark.parametrize("point", ["P1:3", "P10:3", "P14:3"])
def test_two_runs_are_not_mixed(point: str, shop: Any) -> None:
    """Killed in the middle, before a decided commit and after one: the file is the second run's alone."""
    shop.die_at(point)
    done = shop.complete(MADE_BY="second")
    assert "starts afresh" in done.stderr
    assert written(shop) == made_by("second")
    assert shop.leftovers() == []


@pytest.mark.parametrize("again", ["P16b", "P12"])
def test_what_was_decided_is_committed_first(again: str, shop: Any) -> None:
    """Once, though the commit of it dies as well; then comes what the second run makes."""
    shop.environment["ROLLING"] = "1"
    shop.die_at("P10:3")
    before = len(written(shop))
    shop.die_at(again)
    shop.complete(MADE_BY="second")
    lines = written(shop)
    decided = len(lines) - COUNT
    assert decided > before
    assert lines == made_by("first", decided) + made_by("second")
    assert shop.leftovers() == []


def test_a_checkpoint_that_is_asked_for_is_gone_on_from(shop: Any) -> None:
    shop.die_at("P10:3")
    done = shop.complete("--restore", "3", MADE_BY="second")
    assert "continues from checkpoint 3" in done.stderr
    lines = written(shop)
    assert [line.partition(",")[0] for line in lines] == [str(n) for n in range(COUNT)]
    assert {line.partition(",")[2] for line in lines} == {"first", "second"}


def test_a_stop_says_that_it_will_begin_again(shop: Any) -> None:
    running = shop.start("--set", "checkpoint_rows=1000")  # its gate waits for one that is never due
    assert any(line.startswith("collected starts afresh") for line in running.stderr)
    running.send_signal(signal.SIGTERM)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130, err
    assert "run it again to start over" in err
