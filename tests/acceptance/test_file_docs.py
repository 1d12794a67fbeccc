"""The jobs in docs/files.md run as they are written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "files.md"
BLOCK = re.compile(r"^```python(?: file=(?P<name>\S+))?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
JOBS = {match["name"]: match["code"] for match in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("2026-11-30 ERROR disk full\n2026-11-30 INFO fine\n")
    (tmp_path / "orders.csv").write_text("id,total\n1,5\n2\n3,7\n")
    (tmp_path / "orders.tsv").write_text('id\ttitle\n1\t"Heroes\n2\tLow 12"\n3\tStage\n')
    return tmp_path


def run(name: str, folder: Path) -> None:
    (folder / name).write_text(JOBS[name], encoding="utf-8")
    command = [sys.executable, "-m", "pipeline.cli.main", "run", name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_block_is_a_job_that_is_run_here() -> None:
    assert JOBS.keys() == {"errors_by_day.py", "with_bad_lines.py", "in_parts.py"}


def test_text_lines(folder: Path) -> None:
    run("errors_by_day.py", folder)
    assert (folder / "out/errors.csv").read_text() == "day,level,text\n2026-11-30,ERROR,disk full\n"


def test_bad_lines(folder: Path) -> None:
    run("with_bad_lines.py", folder)
    assert len((folder / "out/orders.jsonl").read_text().splitlines()) == 2
    rejected = json.loads((folder / "out/rejected.jsonl").read_text())
    assert rejected == {"line": "2", "why": "orders.csv:3: expected 2 fields, found 1"}


def test_parts(folder: Path) -> None:
    for _ in range(2):
        run("in_parts.py", folder)
    parts = sorted(path.read_text() for path in (folder / "parts").glob("*.csv"))
    assert len(parts) == 2
    assert parts[0].splitlines()[0] == "id,title"
