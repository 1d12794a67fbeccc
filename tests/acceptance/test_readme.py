"""The jobs in the README run as they stand there."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.sql.embedded import EmbeddedPostgres

README = Path(__file__).resolve().parents[2] / "README.md"
BLOCK = re.compile(r"^```python(?: file=(?P<name>\S+))?\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
JOBS = {match["name"]: match["code"] for match in BLOCK.finditer(README.read_text(encoding="utf-8"))}


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    # Not below pytest's folders: PostgreSQL started by root runs as a user that cannot enter them.
    folder = Path(tempfile.mkdtemp(prefix="pipeline-readme-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "postgres") as server:
            yield server.dsn
    finally:
        shutil.rmtree(folder)


def run(name: str, folder: Path, command: list[str], **environment: str) -> str:
    (folder / name).write_text(JOBS[name], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, *command, name],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


PIPELINE_RUN = ["-m", "pipeline.cli.main", "run"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_python_block_is_a_job_that_is_run_here() -> None:
    """A block without a file name, or with one that no test below runs, would be a promise nobody keeps."""
    assert JOBS.keys() == {"large_orders.py", "daily_totals.py", "policies.py"}


@pytest.mark.parametrize("command", [[], PIPELINE_RUN], ids=["python", "pipeline run"])
def test_the_first_job_runs_when_pasted(command: list[str], tmp_path: Path) -> None:
    """Both ways the README names give the file it names, with the rows the code describes."""
    run("large_orders.py", tmp_path, command)
    written = rows(tmp_path / "large_orders.csv")
    assert len(written) == 100_000 // 50 * 10
    assert written[0] == {"id": "40", "customer": "c5", "total": "40", "tax": "8"}


def test_the_query_job_gives_each_row_its_total_so_far(tmp_path: Path, dsn: str) -> None:
    """The job with a query runs on any PostgreSQL that PIPELINE_DSN names."""
    run("daily_totals.py", tmp_path, PIPELINE_RUN, PIPELINE_DSN=dsn)
    written = rows(tmp_path / "daily_totals.csv")
    expected = {str(day): sum(n % 100 for n in range(1, 1_000_001) if n % 7 == day) for day in range(7)}
    assert len(written) == 1_000_000
    assert {row["day"]: int(row["amount"]) for row in written} == expected  # the last row of each day counts


def test_a_record_that_cannot_be_parsed_goes_where_the_readme_says(tmp_path: Path) -> None:
    """Of the four records of the policy example one is a dead letter, the others are printed."""
    printed = run("policies.py", tmp_path, PIPELINE_RUN)
    assert printed.split() == ["1", "2", "4"]
    assert '"value":"three"' in (tmp_path / "rejected.jsonl").read_text(encoding="utf-8")


def test_every_file_the_readme_points_to_exists() -> None:
    """A relative link leads somewhere."""
    links = re.findall(r"\]\(([^)#:]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (README.parent / link).exists()] == []
