"""kill -9 at random moments under load: each record once, in order, byte for byte.

`PIPELINE_KILLS` raises the number of kills; the seed is printed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable
from typing import Any

from .numbers_job import expected, write_input
from .side_by_side import side_by_side
from .waiting import wait_for

KILLS = int(os.environ.get("PIPELINE_KILLS", "50"))
COUNT = 400


def was_killed(shop: Any, seconds: float) -> bool:
    """One life of the job: killed after a number of seconds, unless it has completed by then."""
    process = shop.start()
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    assert process.returncode == 0, process.stderr.read()
    return False


def test_killed_at_random_moments(workshop: Callable[..., Any]) -> None:
    """Two jobs at a time; every life but the last ends with SIGKILL before it would complete."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")

    def lives(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        kills = 0
        while kills < KILLS / 2:
            count = COUNT * rng.randint(1, 20)
            shop = workshop("numbers", PACE="0.0001")
            write_input(shop.folder, count)
            while was_killed(shop, rng.uniform(0.2, 1.5)):
                kills += 1
                if kills >= KILLS / 2:  # on a machine too busy to start it in time it would never complete
                    shop.complete()
                    break
            assert shop.outputs() == expected(count), f"seed {seed}"
            assert shop.leftovers() == [], f"seed {seed}"

    side_by_side(lives, range(2))


def test_killed_while_it_commits(workshop: Callable[..., Any]) -> None:
    """A kill as soon as the first file of a checkpoint appears: around the manifest, every time."""
    shop = workshop("numbers", PACE="0.0002")
    write_input(shop.folder, 1500)
    folder = shop.folder / ".pipeline" / "checkpoints" / "numbers" / "manifests"
    for _ in range(5):
        process = shop.start()
        newest = max((path.name for path in folder.glob("*")), default="") if folder.exists() else ""
        wait_for(
            lambda newest=newest, process=process: (
                process.poll() is not None
                or (folder.exists() and max((path.name for path in folder.glob("*")), default="") > newest)
            ),
            "a new manifest",
        )
        process.kill()
        process.wait()
    shop.complete(PACE="0")
    assert shop.outputs() == expected(1500)
    assert shop.leftovers() == []
