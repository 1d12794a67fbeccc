"""What `make demo` shows: a PostgreSQL and a Kafka of its own, reports and alerts, crashes that lose nothing.

    python examples/demo.py          # all of it, in about a minute the first time
    python examples/demo.py serve    # only the database, until Ctrl-C, to try the jobs by hand

Database and broker live in `.demo`, the reports in `results`, both below the current folder.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final

import demo_alerts
import flights

from connectors.sql.embedded import EmbeddedPostgres
from pipeline import PipelineError

DATABASE: Final = Path(".demo/postgres")
EXAMPLES: Final = Path(os.path.relpath(Path(__file__).parent))
PIPELINE: Final = Path(os.path.relpath(Path(sys.executable).with_name("pipeline")))
CARRIERS, FLIGHTS = Path("results/carrier_report.csv"), Path("results/flights_report.csv")

KILL_IN_THE_MIDDLE: Final = "P13:1"
"""The first checkpoint's output is committed, nobody has noted it yet: a bad moment to die."""

TRY_NEXT: Final = """\
What to try next. In one terminal, keep the database up:

    {python} {examples}/demo.py serve

In another one, from this folder:

    export PIPELINE_DSN='{dsn}'
    {pipeline} run {examples}/flights_report.py      # kill -9 it, or press Ctrl-C, and run it again
    {pipeline} explain {examples}/flights_report.py  # what runs, and what it promises
    {pipeline} run --help
"""


def demo() -> None:
    """Run both reports, one of them again with a crash in the middle, and the alerts with another one."""
    say("Starting a PostgreSQL of our own in", str(DATABASE))
    with demo_alerts.starting_broker() as broker, EmbeddedPostgres(DATABASE) as server:
        flights.load(server.dsn, lambda line: print("  " + line))
        say("A query that joins and groups: carriers", "→ format → one CSV")
        run("carrier_report.py", server.dsn)
        show(CARRIERS)
        say("All flights,", "row by row → format → one CSV")
        run("flights_report.py", server.dsn)
        show(FLIGHTS)
        undisturbed = fingerprint(FLIGHTS)
        say("The same job,", "killed by kill -9 in the middle, then run again")
        FLIGHTS.unlink()
        run("flights_report.py", server.dsn, crash_at=KILL_IN_THE_MIDDLE)
        print(
            f"  killed; {FLIGHTS} {'exists' if FLIGHTS.exists() else 'is not there: half a report is none'}\n"
        )
        run("flights_report.py", server.dsn)
        same = fingerprint(FLIGHTS) == undisturbed
        print(f"  {FLIGHTS} is {'byte for byte' if same else 'NOT'} that of the undisturbed run\n")
        say("Departures through Kafka:", "late ones → by airport → hours of event time → alerts")
        same = demo_alerts.show_alerts(broker, PIPELINE, EXAMPLES) and same
        places = {"python": os.path.relpath(sys.executable), "examples": EXAMPLES, "pipeline": PIPELINE}
        print(TRY_NEXT.format(dsn=server.dsn, **places))
        print(demo_alerts.TRY_NEXT.format(**places))
    if not same:
        sys.exit("a killed job wrote something else than an undisturbed one: please report this")


def serve() -> None:
    """Keep the database up until Ctrl-C."""
    with EmbeddedPostgres(DATABASE) as server:
        flights.load(server.dsn, lambda line: print("  " + line))
        print(f"\nexport PIPELINE_DSN='{server.dsn}'\n\nPress Ctrl-C to stop.", flush=True)
        signal.pause()


def run(job: str, dsn: str, crash_at: str | None = None) -> None:
    """Run a job with the command a user would type; `crash_at` makes it kill itself there."""
    command = [str(PIPELINE), "run", str(EXAMPLES / job)]
    print(f"  $ {' '.join(command)}", flush=True)
    crash = {"PIPELINE_FAULTPOINT": crash_at} if crash_at else {}
    code = subprocess.run(  # noqa: S603 - this project's own command
        command, env={**os.environ, "PIPELINE_DSN": dsn, **crash}, check=False
    ).returncode
    if code != (-signal.SIGKILL if crash_at else 0):
        sys.exit(f"the job ended with code {code}")
    print()


def show(report: Path, lines: int = 5) -> None:
    """Print the beginning of a report."""
    with report.open(encoding="utf-8") as file:
        for line in islice(file, lines):
            print("  | " + line.rstrip())
    print(f"  | … {report}, {report.stat().st_size:,} bytes\n")


def fingerprint(report: Path) -> str:
    return hashlib.sha256(report.read_bytes()).hexdigest()


def say(*words: str) -> None:
    print("──", *words, flush=True)


def main() -> None:
    """Run what the first argument says; without one, the demo."""
    parts: dict[tuple[str, ...], Callable[[], None]] = {(): demo, ("serve",): serve}
    part = parts.get(tuple(sys.argv[1:]))
    if part is None:
        sys.exit("usage: python examples/demo.py [serve]")
    for number in (signal.SIGINT, signal.SIGTERM):  # deaf to SIGINT is what shells start in the background
        signal.signal(number, signal.default_int_handler)  # the server is stopped, whichever comes
    try:
        part()
    except KeyboardInterrupt:
        sys.exit(130)
    except PipelineError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
