"""Every python block of README and docs runs, and prints what its page shows."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.conftest import Database
from tests.integration.kafka.readers import first_committed
from tests.kafka_broker import Topics

from .doc_blocks import BLOCKS, PAGES, PIPELINE_RUN, ROOT, block, unnamed, without_blocks

BY_HAND = {
    "large_orders.py",
    "daily_totals.py",
    "late_departures.py",
    "show_alerts.py",
    "daily.py",
    "with_prices.py",
    "large_amounts.py",
    "make_events.py",
    "paid_orders.py",
    "print_topic.py",
    "poison.py",
}
"""Blocks that need a server or parameters: the tests below run them."""


def _lines(folder: Path, name: str, *lines: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "errors_by_day.py": ("logs/a.log", ("2026-11-30 ERROR disk full", "2026-11-30 INFO fine")),
    "with_bad_lines.py": ("orders.csv", ("id,total", "1,5", "2", "3,7")),
    "in_parts.py": ("orders.tsv", ("id\ttitle", '1\t"Heroes', '2\tLow 12"', "3\tStage")),
    "sums.py": (
        "events.jsonl",
        ('{"user": "a", "ts": 1000, "amount": 2}', '{"user": "a", "ts": 2000, "amount": 3}'),
    ),
    "stable_uids.py": ("events.csv", ("id,user", "1,a", "2,a")),
}
"""The input that a block reads."""

WRITTEN: dict[str, dict[str, Any]] = {
    "errors_by_day.py": {"out/errors.csv": "day,level,text\n2026-11-30,ERROR,disk full\n"},
    "with_bad_lines.py": {
        "out/orders.jsonl": '{"id":"1","total":"5"}\n{"id":"3","total":"7"}\n',
        "out/rejected.jsonl": '{"line":"2","why":"orders.csv:3: expected 2 fields, found 1"}\n',
    },
    "in_parts.py": {
        "parts/orders-0-000000.csv": 'id,title\n1,"""Heroes"\n2,"Low 12"""\n',
        "parts/orders-0-000001.csv": "id,title\n3,Stage\n",
    },
    "branches.py": {
        "out/all.jsonl": None,
        "out/paid.jsonl": '{"id":1,"paid":5}\n',
    },
    "policies.py": {"rejected.jsonl": None},
    "sums.py": {"out/sums.jsonl": '{"user":"a","from":0,"amount":5}\n', "out/late.jsonl": ""},
    "stable_uids.py": {"latest.csv": "id,user\n1,a\n2,a\n"},
    "append.py": {"out.txt": "a\nb\n"},
}
"""What a block writes; None for any content."""


def test_every_python_block_has_a_file_name_of_its_own() -> None:
    """Otherwise no test could run it, and no type checker could look at it."""
    assert {page.name: unnamed(page) for page in PAGES if unnamed(page)} == {}
    names = [block.name for block in BLOCKS]
    assert sorted(names) == sorted(set(names))
    assert set(names) >= BY_HAND | FILES.keys() | WRITTEN.keys()


@pytest.mark.parametrize("name", [block.name for block in BLOCKS if block.name not in BY_HAND])
def test_a_block_runs_and_prints_what_its_page_shows(name: str, tmp_path: Path) -> None:
    example = block(name)
    if name in FILES:
        _lines(tmp_path, FILES[name][0], *FILES[name][1])
    printed = example.run(tmp_path)
    assert example.output is None or printed == example.output
    for file, text in WRITTEN.get(name, {}).items():
        written = (tmp_path / file).read_text(encoding="utf-8")
        assert text is None or written == text, file


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- README ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [(), PIPELINE_RUN], ids=["python", "pipeline run"])
def test_the_first_job_runs_when_pasted(command: tuple[str, ...], tmp_path: Path) -> None:
    """Both ways the README names give the file it names, with the rows the code describes."""
    block("large_orders.py").run(tmp_path, command=command)
    written = rows(tmp_path / "large_orders.csv")
    assert len(written) == 100_000 // 50 * 10
    assert written[0] == {"id": "40", "customer": "c5", "total": "40", "tax": "8"}


def test_the_query_job_writes_the_total_so_far_in_each_row(tmp_path: Path, database: Database) -> None:
    """The job with a query runs on any PostgreSQL that PIPELINE_DSN names."""
    block("daily_totals.py").run(tmp_path, PIPELINE_DSN=database.dsn)
    written = rows(tmp_path / "daily_totals.csv")
    expected = {str(day): sum(n % 100 for n in range(1, 1_000_001) if n % 7 == day) for day in range(7)}
    assert len(written) == 1_000_000
    assert {row["day"]: int(row["amount"]) for row in written} == expected  # the last row of each day counts


def test_the_stream_job_writes_alerts_until_it_is_stopped(tmp_path: Path, topic: Topics) -> None:
    """As the README says: filled by the example's own program, ended by Ctrl-C, printed by short jobs."""
    topic(partitions=3, name="departures")
    alerts = topic(partitions=3, name="delay-alerts")
    (tmp_path / "late_departures.py").write_text(block("late_departures.py").code, encoding="utf-8")
    environment = {**os.environ, "PIPELINE_KAFKA": topic.address, "PYTHONFAULTHANDLER": "1"}
    replay = [sys.executable, str(ROOT / "examples" / "flights_replay.py"), "--days", "2"]
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
    shown = block("show_alerts.py").run(tmp_path, PIPELINE_KAFKA=topic.address)
    assert str(alert) in shown.splitlines()
    with_metadata = block("print_topic.py").run(tmp_path, PIPELINE_KAFKA=topic.address)
    assert len(with_metadata.splitlines()) == len(shown.splitlines())
    assert "offset=0" in with_metadata


# --- docs --------------------------------------------------------------------------------------------


def test_a_job_reads_a_large_file(tmp_path: Path) -> None:
    """The job of the first page that takes checkpoints, on the file that the page makes."""
    block("make_events.py").run(tmp_path)
    block("large_amounts.py").run(tmp_path)
    written = rows(tmp_path / "large.csv")
    assert len(written) == 100_000
    assert min(int(row["amount"]) for row in written) == 90


def test_a_job_is_given_its_parameters(tmp_path: Path) -> None:
    """As the page writes them, after two dashes."""
    assert block("daily.py").run(tmp_path, "--", "--day", "2026-11-30") == "2026-11-30\n"


def test_a_function_has_its_connection(tmp_path: Path) -> None:
    """Of two subtasks each has its own, since SQLite refuses to serve another thread."""
    with closing(sqlite3.connect(tmp_path / "prices.db")) as db, db:
        db.execute("CREATE TABLE prices (article, price)")
        db.executemany("INSERT INTO prices VALUES (?, ?)", [("bolt", 3), ("nut", 5)])
    printed = block("with_prices.py").run(tmp_path)
    expected = [{"article": "bolt", "pieces": 4, "price": 3}, {"article": "nut", "pieces": 9, "price": 5}]
    assert sorted(printed.splitlines()) == [str(order) for order in expected]


def test_a_query_with_a_parameter(tmp_path: Path, database: Database) -> None:
    """The job of the page on SQL, on a table with the columns that it names."""
    database.execute("CREATE TABLE orders (id bigint PRIMARY KEY, total integer)")
    database.execute("INSERT INTO orders VALUES (1, 100), (2, 101)")
    block("paid_orders.py").run(tmp_path, PIPELINE_DSN=database.dsn)
    assert rows(tmp_path / "paid_orders.csv") == [{"id": "2", "total": "101"}]


def test_a_poison_record_is_a_dead_letter(tmp_path: Path, topic: Topics) -> None:
    """The bytes that are not JSON go to the side output, with an error that names their place."""
    topic(name="events")
    producer = Producer({"bootstrap.servers": topic.address})
    producer.produce("events", b'{"n": 1}')
    producer.produce("events", b"{")
    assert producer.flush(30) == 0
    block("poison.py").run(tmp_path, PIPELINE_KAFKA=topic.address)
    assert (tmp_path / "events.jsonl").read_text(encoding="utf-8") == '{"n":1}\n'
    assert "offset 1 of topic events" in (tmp_path / "rejected.jsonl").read_text(encoding="utf-8")


def test_every_link_leads_to_a_file_and_a_heading_that_exist() -> None:
    broken: list[str] = []
    for page in [
        *PAGES,
        ROOT / "ARCHITECTURE.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "SECURITY.md",
        ROOT / "CHANGELOG.md",
    ]:
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", without_blocks(page)):
            file = page.parent / target if target else page
            if not file.exists() or (anchor and anchor not in _anchors(file)):
                broken.append(f"{page.name}: {target}#{anchor}")
    assert broken == []


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert [
        page.name for page in PAGES[1:] if page.name != "index.md" and f"({page.name})" not in index
    ] == []
