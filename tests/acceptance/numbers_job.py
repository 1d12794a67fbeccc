"""The input of the jobs that read numbers, and what `jobs/numbers.py` makes of it."""

from __future__ import annotations

from pathlib import Path


def write_input(folder: Path, count: int, name: str = "in.csv") -> None:
    (folder / name).write_text("n\n" + "".join(f"{n}\n" for n in range(count)))


def expected(count: int) -> dict[str, bytes]:
    lines = "".join(f"{n},{2 * n}\n" for n in range(count))
    return {"numbers.csv": f"n,doubled\n{lines}".encode()}


def manifests(folder: Path, job: str = "numbers") -> list[Path]:
    return sorted((folder / ".pipeline" / "checkpoints" / job / "manifests").glob("*.json"))
