"""The examples as a new user meets them: what `make demo` runs, in a folder of its own."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[3] / "examples" / "demo.py"
pytestmark = pytest.mark.timeout(700)
"""Seconds: whichever test is the first waits for the whole demo."""


@pytest.fixture(scope="module")
def folder(server_folder: Path) -> Path:
    """The working folder of all demos here: what one has loaded, the next one finds."""
    folder = server_folder / "demo"
    folder.mkdir()
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")}
    return subprocess.Popen(
        [sys.executable, str(DEMO), *arguments],
        cwd=folder,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def demo(folder: Path) -> str:
    """What the demo has said; its tables stay in the folder."""
    process = start(folder)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


def test_the_demo_writes_reports_and_alerts_and_survives_its_own_crashes(demo: str, folder: Path) -> None:
    assert "flights   336,776 rows loaded" in demo
    assert "killed; results/flights_report.csv is not there" in demo
    assert "flights-report continues from checkpoint" in " ".join(demo.split())
    assert "is byte for byte that of the undisturbed run" in demo
    assert "killed in the midst of a commit; run again" in demo
    assert "alerts, each once, as computed by hand" in demo
    assert not (folder / ".demo/postgres/postmaster.pid").exists()

    with (folder / "results/flights_report.csv").open(encoding="utf-8", newline="") as file:
        ids = [int(row["id"]) for row in csv.DictReader(file)]
    assert ids == list(range(1, 336_777))
    with (folder / "results/carrier_report.csv").open(encoding="utf-8", newline="") as file:
        flights = {row["airline"]: int(row["flights"].replace(",", "")) for row in csv.DictReader(file)}
    assert len(flights) == 16
    assert sum(flights.values()) == 336_776


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_serving_ends_with_a_signal_and_takes_the_server_with_it(stop: signal.Signals, folder: Path) -> None:
    """The tables are there already: loading again changes nothing."""
    lines: list[str] = []
    with start(folder, "serve") as server:
        assert server.stdout is not None
        for line in server.stdout:
            lines.append(line)
            if "Press Ctrl-C" in line:
                server.send_signal(stop)
    assert server.returncode == 130, lines
    assert "  flights   336,776 rows are there already\n" in lines
    assert any(line.startswith("export PIPELINE_DSN='postgresql://") for line in lines)
    assert not (folder / ".demo/postgres/postmaster.pid").exists()


def test_an_unknown_argument_is_answered_with_the_usage(folder: Path) -> None:
    demo = start(folder, "--serve")
    output, _ = demo.communicate(timeout=30)
    assert demo.returncode == 1
    assert output == "usage: python examples/demo.py [serve]\n"
