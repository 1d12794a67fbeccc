"""Two runs of one job at once: the second is refused, or takes over and the first is fenced."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from .numbers_job import expected, write_input
from .waiting import wait_for

COUNT = 1000


def rows(outputs: dict[str, bytes]) -> list[bytes]:
    """What is in the report, in one file or in parts with a header each."""
    return [line for line in outputs["numbers.csv"].split() if line != b"n,doubled"]


def test_a_second_run_is_refused(workshop: Callable[..., Any]) -> None:
    """It names the run that holds the job and what can be done; the first is not disturbed."""
    shop = workshop("numbers")
    write_input(shop.folder, COUNT)
    first = shop.stand_still_at("P14")
    second = shop.run()
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert str(first.pid) in second.stderr
    assert "--take-over" in second.stderr
    assert first.wait(timeout=60) == 0
    assert shop.outputs() == expected(COUNT)


@pytest.mark.parametrize("point", ["P0:10", "P6:2", "P7:2", "P10:2"])
def test_a_zombie_commits_nothing_and_leaves(point: str, workshop: Callable[..., Any]) -> None:
    """Stopped, replaced with --take-over, continued: the old run is fenced, whatever it was doing."""
    shop = workshop("numbers")
    write_input(shop.folder, COUNT)
    zombie = shop.stand_still_at(point)
    heir = shop.start("--take-over")
    attempts = shop.folder / ".pipeline" / "checkpoints" / "numbers" / "attempts"
    wait_for((attempts / "2").exists, "the claim of the second attempt")
    zombie.send_signal(signal.SIGCONT)
    _, err = zombie.communicate(timeout=60)
    assert zombie.returncode == 1
    assert "newer attempt" in err
    assert heir.wait(timeout=60) == 0
    assert shop.outputs() == expected(COUNT)
    assert shop.leftovers() == []


def test_a_zombie_that_wakes_after_the_end_changes_nothing(workshop: Callable[..., Any]) -> None:
    """The output of the run that took over stays as it is, and belongs to nobody else."""
    shop = workshop("numbers")
    write_input(shop.folder, COUNT)
    zombie = shop.stand_still_at("P14:2")
    shop.complete("--take-over")
    report = shop.folder / "out" / "numbers.csv"
    inode = report.stat().st_ino
    zombie.send_signal(signal.SIGCONT)
    assert zombie.wait(timeout=60) == 1
    assert report.stat().st_ino == inode
    assert shop.outputs() == expected(COUNT)


@pytest.mark.parametrize("rolling", [False, True], ids=["whole", "parts"])
def test_a_run_elsewhere_cannot_write_to_the_same_folder(rolling: bool, workshop: Callable[..., Any]) -> None:
    """Its checkpoints lie elsewhere and know nothing of the first: the lock at the output keeps it away."""
    environment = {"ROLLING": "1"} if rolling else {}
    shop, elsewhere = (workshop("numbers", **environment) for _ in range(2))
    for one in (shop, elsewhere):
        write_input(one.folder, COUNT)
    first = shop.stand_still_at("P14")
    (elsewhere.folder / "out").symlink_to(shop.folder / "out")
    second = elsewhere.run()
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert f"process {first.pid}" in second.stderr
    assert "--take-over" in second.stderr
    assert first.wait(timeout=60) == 0
    assert rows(shop.outputs()) == rows(expected(COUNT))
    assert shop.leftovers() == []


def test_a_killed_run_elsewhere_holds_nothing(workshop: Callable[..., Any]) -> None:
    """The kernel takes its lock back; the file it lay on is used again and removed at the end."""
    shop, elsewhere = (workshop("numbers") for _ in range(2))
    for one in (shop, elsewhere):
        write_input(one.folder, COUNT)
    shop.die_at("P14")
    assert any(name.endswith(".lock") for name in shop.leftovers())
    (elsewhere.folder / "out").symlink_to(shop.folder / "out")
    elsewhere.complete(PACE="0")
    assert elsewhere.outputs() == expected(COUNT)
    assert elsewhere.leftovers() == []
