"""kill -9 on the way to Kafka: a reader that is not the engine's client sees each record once, in order."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.faults import FAULTPOINTS

from .kafka_scene import expect_complete, finish
from .numbers_job import manifests

pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)

RECOVERY = ("P16a", "P16b", "P16c")
MIDWAY = {
    "P0": "P0:3",
    "P1": "P1:3",
    "P3": "P3:3",
    "P4": "P4:5",
    "P5": "P5:3",
    "P6": "P6:3",
    "P7": "P7:3",
    "P10": "P10:3",
    "P11": "P11:2",
    "P12": "P12:3",
    "P13": "P13:2",
    "P14": "P14:2",
}
"""The passage at which to die, so that something has been committed before."""

KILLS = int(os.environ.get("PIPELINE_KILLS", "3"))


@pytest.mark.parametrize("point", [point for point in FAULTPOINTS if point not in RECOVERY])
def test_every_crash_point_is_survived(point: str, scene: Callable[..., Any]) -> None:
    shop, target = scene()
    shop.die_at(MIDWAY.get(point, point))
    finish(shop, target, point)


@pytest.mark.parametrize("second", [*RECOVERY, "P12"])
def test_recovery_dies_as_well(second: str, scene: Callable[..., Any]) -> None:
    """Decided and not committed, or committed and not noted: then killed again while it finds out."""
    for first in ("P10:3", "P12:3"):
        if (first, second) == ("P12:3", "P12"):
            continue  # what is committed is not committed again
        shop, target = scene()
        shop.die_at(first)
        shop.die_at(second)
        finish(shop, target, (first, second))


def is_done(shop: Any) -> bool:
    """Whether the job's last checkpoint is taken and noted."""
    newest = max(manifests(shop.folder), default=None)
    if newest is None or not (newest.parent.parent / "notes" / newest.name).exists():
        return False
    return '"kind": "FINAL"' in newest.read_text()


def test_killed_at_random_moments(scene: Callable[..., Any]) -> None:
    """Every life but the last ends with SIGKILL; in between a reader sees no epoch torn."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    kills = 0
    while kills < KILLS:
        count = 500 * rng.randint(2, 12)
        shop, target = scene(count)
        while True:
            process = shop.start()
            try:
                process.wait(timeout=rng.uniform(0.8, 2.5))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
                target.expect_prefix(f"seed {seed}")
                if is_done(shop):
                    break  # killed when all was over: the next run would start from the beginning
                if kills >= KILLS:  # on a machine too busy to start it in time it would never complete
                    shop.complete()
                    break
                continue
            assert process.returncode == 0, process.stderr.read()
            break
        expect_complete(shop, target, f"seed {seed}", count)


@pytest.mark.parametrize(
    ("bug", "point"),
    [
        ("mark_left_out", "P12:3"),
        ("log_dropped_too_early", "P10:3"),
        ("commit_before_the_manifest", "P6:3"),
    ],
)
def test_a_planted_bug_is_caught(bug: str, point: str, scene: Callable[..., Any]) -> None:
    """Killed there, the job does not come to the end that it comes to without the bug."""

    def survives(*program: str) -> bool:
        shop, target = scene()
        if program:
            shop.program = program
        try:
            shop.die_at(point)
            finish(shop, target, point)
        except AssertionError:
            return False
        return True

    assert survives()
    assert not survives(sys.executable, str(Path(__file__).with_name("planted.py")), bug)
