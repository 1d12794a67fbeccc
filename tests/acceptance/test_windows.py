"""A job with windows of event time, killed and started again: its output is that of an undisturbed run."""

from __future__ import annotations

import csv
import io
import json
import random
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from .numbers_job import write_input

ROWS = 2000
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def expected(workshop: Callable[..., Any]) -> dict[str, bytes]:
    """What an undisturbed run makes of it, once that is known to be right."""
    shop = workshop("windows")
    write_input(shop.folder, ROWS)
    summary = json.loads(shop.complete("--json").stdout.splitlines()[-1])
    found = shop.outputs()
    fired = list(csv.DictReader(io.StringIO(found["windows.csv"].decode())))
    late = [json.loads(line) for line in found["late.jsonl"].splitlines()]
    newest = {(row["start"], row["key"]): row for row in fired}
    assert len(fired) > len(newest), "some windows fire again for a late record"
    assert late
    assert summary["processed_records"] == ROWS
    assert summary["late_records"] == 0
    assert sum(int(row["count"]) for row in newest.values()) + len(late) == ROWS
    total = sum(int(row["sum"]) for row in newest.values()) + sum(row["sum"] for row in late)
    assert total == sum(range(ROWS))
    return found


def test_every_window_is_as_if_nothing_had_happened(
    expected: dict[str, bytes], workshop: Callable[..., Any]
) -> None:
    """Killed once at a crash point with windows open; then at all of them in one life."""
    shop = workshop("windows")
    write_input(shop.folder, ROWS)
    for point in ("P1:3", "P3:2", "P4:2", "P5:2", "P16a", "P7:2", "P10", "P11", "P13", "P14"):
        shop.die_at(point)
    shop.complete()
    assert shop.outputs() == expected
    assert shop.leftovers() == []


def test_killed_at_random_moments(expected: dict[str, bytes], workshop: Callable[..., Any]) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    shop = workshop("windows", PACE="0.0005")
    write_input(shop.folder, ROWS)
    for _ in range(5):
        process = shop.start()
        try:
            process.wait(timeout=rng.uniform(0.4, 1.6))
            break  # it has completed
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    else:
        shop.complete(PACE="0")
    assert shop.outputs() == expected, f"seed {seed}"
    assert shop.leftovers() == []


def test_a_checkpoint_says_what_its_windows_hold(workshop: Callable[..., Any]) -> None:
    shop = workshop("windows")
    write_input(shop.folder, ROWS)
    shop.die_at("P10:2")
    folder = shop.folder / ".pipeline" / "checkpoints" / "windows" / "manifests"
    manifest = json.loads(max(folder.glob("*.json")).read_text())
    (state,) = manifest["operator_state"]["reduce:add"]
    assert state["entries"] >= len(state["windows"]) > 0
    first = state["windows"][0]
    assert (first["end"] - first["start"], set(first["accumulator"])) == (500, {"key", "sum", "count"})
    (source,) = manifest["source_state"]
    (time,) = manifest["operator_state"][source]
    assert time["watermark"] == state["watermark"]
