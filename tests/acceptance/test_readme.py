"""The jobs in the README run as they stand there."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connectors.sql.embedded import EmbeddedPostgres
from tests.integration.kafka.readers import first_committed
from tests.kafka_broker import Topics

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


def run(name: str, folder: Path, command: list[str], *parameters: str, **environment: str) -> str:
    (folder / name).write_text(JOBS[name], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, *command, name, *parameters],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


PIPELINE_RUN = ["-m", "pipeline", "run"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_python_block_is_a_job_that_is_run_here() -> None:
    """A block without a file name, or with one that no test below runs, would be a promise nobody keeps."""
    assert JOBS.keys() == {
        "large_orders.py",
        "daily_totals.py",
        "late_departures.py",
        "show_alerts.py",
        "daily.py",
        "with_prices.py",
        "policies.py",
    }


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


def test_the_stream_job_gives_alerts_until_it_is_stopped(tmp_path: Path, topic: Topics) -> None:
    """As the README says: filled by the example's own program, ended by Ctrl-C."""
    topic(partitions=3, name="departures")
    alerts = topic(partitions=3, name="delay-alerts")
    (tmp_path / "late_departures.py").write_text(JOBS["late_departures.py"], encoding="utf-8")
    environment = {**os.environ, "PIPELINE_KAFKA": topic.address, "PYTHONFAULTHANDLER": "1"}
    replay = [sys.executable, str(README.parent / "examples" / "flights_replay.py"), "--days", "2"]
    subprocess.run(replay, cwd=tmp_path, env=environment, check=True, stdout=subprocess.PIPE)
    command = [sys.executable, *PIPELINE_RUN, "late_departures.py"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        try:
            first = first_committed(topic.address, alerts, partitions=3)
            job.send_signal(signal.SIGINT)
            _, said = job.communicate(timeout=60)
        except BaseException:
            job.send_signal(signal.SIGABRT)  # shows its stacks; leaving the block would wait for it
            print(*job.communicate())
            raise
    assert job.returncode == 130, said
    alert = json.loads(first)
    assert alert["origin"] in {"EWR", "JFK", "LGA"}
    assert alert["delay"] >= 15
    assert "run it again to continue" in said
    shown = run("show_alerts.py", tmp_path, PIPELINE_RUN, PIPELINE_KAFKA=topic.address)
    assert str(alert) in shown.splitlines()


def test_a_job_is_given_its_parameters(tmp_path: Path) -> None:
    """As the README writes them, after two dashes."""
    assert run("daily.py", tmp_path, PIPELINE_RUN, "--", "--day", "2026-11-30") == "2026-11-30\n"


def test_a_function_has_its_connection(tmp_path: Path) -> None:
    """Of two subtasks each has one of its own, since SQLite refuses to serve another thread."""
    with closing(sqlite3.connect(tmp_path / "prices.db")) as db, db:
        db.execute("CREATE TABLE prices (article, price)")
        db.executemany("INSERT INTO prices VALUES (?, ?)", [("bolt", 3), ("nut", 5)])
    printed = run("with_prices.py", tmp_path, PIPELINE_RUN)
    expected = [{"article": "bolt", "pieces": 4, "price": 3}, {"article": "nut", "pieces": 9, "price": 5}]
    assert sorted(printed.splitlines()) == [str(order) for order in expected]


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
