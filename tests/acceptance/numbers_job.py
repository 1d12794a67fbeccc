"""The input and the expected output of `jobs/numbers.py`."""

from __future__ import annotations

from pathlib import Path


def write_input(folder: Path, count: int) -> None:
    (folder / "in.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(count)))


def expected(count: int) -> dict[str, bytes]:
    lines = "".join(f"{n},{2 * n}\n" for n in range(count))
    return {"numbers.csv": f"n,doubled\n{lines}".encode()}


def manifests(folder: Path) -> list[Path]:
    return sorted((folder / ".pipeline" / "checkpoints" / "numbers" / "manifests").glob("*.json"))
