"""kill -9 at random moments under load: each record once, in order, byte for byte.

`PIPELINE_KILLS` raises the number of kills; the seed is printed.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from typing import Any

from .numbers_job import expected, write_input
from .waiting import wait_for

KILLS = int(os.environ.get("PIPELINE_KILLS", "50"))
COUNT = 400


def test_killed_at_random_moments(workshop: Callable[..., Any]) -> None:
    """Every life but the last ends with SIGKILL between its start and shortly before it would complete."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    kills = 0
    while kills < KILLS:
        count = COUNT * rng.randint(1, 20)
        shop = workshop("numbers", PACE="0.0001")
        write_input(shop.folder, count)
        while True:
            process = shop.start()
            try:
                process.wait(timeout=rng.uniform(0.2, 1.5))
            except Exception:
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                continue
            assert process.returncode == 0, process.stderr.read() if process.stderr else ""
            break
        assert shop.outputs() == expected(count), f"seed {seed}"
        assert shop.leftovers() == [], f"seed {seed}"


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
