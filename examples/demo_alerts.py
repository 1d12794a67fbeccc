"""The third part of the demo: departures through a Kafka of its own, each alert once, whatever is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import flights_replay
from confluent_kafka import Consumer, TopicPartition
from realtime_alert import LATE_MINUTES

from connectors.kafka.embedded import EmbeddedKafka
from pipeline import ConfigError

BROKER: Final = Path(".demo/kafka")
DAYS: Final = 31
RATE: Final = 5000
HOUR_MS: Final = 3_600_000
OUT_OF_ORDER_MS: Final = 60_000
KILL_IN_THE_MIDDLE: Final = "P12:1"
"""The first commit has taken effect, and the job does not live to know it."""

PATIENCE_SECONDS: Final = 60

TRY_NEXT: Final = """\
With a Kafka (`make kafka` keeps one up and says what to export), from this folder:

    {python} {examples}/flights_replay.py            # the whole year, as fast as it goes
    {pipeline} run {examples}/realtime_alert.py      # kill -9 it, or press Ctrl-C, and run it again
"""

Alert = dict[str, Any]


@contextmanager
def starting_broker() -> Generator[Callable[[], EmbeddedKafka]]:
    """Start a broker beside what runs inside, as it takes some seconds; yield what waits until it serves."""
    shutil.rmtree(BROKER, ignore_errors=True)  # with the month of an earlier demo in it, this one's is late
    broker = EmbeddedKafka(BROKER)
    with ThreadPoolExecutor(1, "broker") as pool:
        started = pool.submit(broker.start)

        def serving() -> EmbeddedKafka:
            started.result()
            return broker

        try:
            yield serving
        finally:
            wait([started])
            broker.stop()


def show_alerts(serving: Callable[[], EmbeddedKafka], pipeline: Path, examples: Path) -> bool:
    """Replay a month of departures, kill the job in the middle, compare the alerts with plain Python.

    Args:
        serving: returns the broker, once it serves.

    Returns:
        False if they differ; True also where no broker can be had, which is said.
    """
    try:
        servers = serving().address()
    except ConfigError as error:
        print(f"  left out: {error}\n")
        return True
    events = flights_replay.departures(DAYS)
    flights_replay.create_topics(servers, flights_replay.TOPIC, flights_replay.ALERTS)
    replay = _start_replay(servers, examples)
    _run_killed(servers, pipeline, examples)
    found = _run_and_read(servers, pipeline, examples, expected := _expected(events))
    replay.wait()
    return _report(found, expected)


def _start_replay(servers: str, examples: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(examples / "flights_replay.py")]
    print(f"  {DAYS} days of departures are being replayed, {RATE:,} a second", flush=True)
    return subprocess.Popen(  # noqa: S603 - this project's own example
        [*command, "--days", str(DAYS), "--rate", str(RATE)],
        env=_variables(servers),
        stdout=subprocess.DEVNULL,
    )


def _variables(servers: str, **more: str) -> dict[str, str]:
    return {**os.environ, "PIPELINE_KAFKA": servers, **more}


def _run_killed(servers: str, pipeline: Path, examples: Path) -> None:
    command = [str(pipeline), "run", str(examples / "realtime_alert.py"), "--fresh"]
    print(f"  $ {' '.join(command)}", flush=True)
    crash = _variables(servers, PIPELINE_FAULTPOINT=KILL_IN_THE_MIDDLE)
    code = subprocess.run(command, env=crash, check=False).returncode  # noqa: S603 - its own command
    if code != -signal.SIGKILL:
        sys.exit(f"the job ended with code {code}")
    print("  killed in the midst of a commit; run again\n")


def _run_and_read(
    servers: str, pipeline: Path, examples: Path, expected: dict[tuple[str, str], Alert]
) -> list[Alert]:
    """Run the job until readers of committed records have seen as many alerts as there are to come."""
    command = [str(pipeline), "run", str(examples / "realtime_alert.py")]
    print(f"  $ {' '.join(command)}", flush=True)
    job = subprocess.Popen(command, env=_variables(servers))  # noqa: S603 - as above
    found: list[Alert] = []
    try:
        for alert in _committed(servers):
            found.append(alert)
            if len(found) <= 5:
                print(f"  | {json.dumps(alert)}", flush=True)
            if len(found) >= len(expected):
                break
    finally:
        job.send_signal(signal.SIGTERM)
        job.wait()
    return found


def _committed(servers: str) -> Iterator[Alert]:
    """Yield alerts as readers of committed records see them, until none has come for a while."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "demo",
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    partitions = range(len(flights_replay.AIRPORTS))
    consumer.assign([TopicPartition(flights_replay.ALERTS, partition, 0) for partition in partitions])
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        while time.monotonic() < until:
            message = consumer.poll(1.0)
            if message is not None and message.error() is None:
                yield json.loads(message.value() or b"")
    finally:
        consumer.close()


def _expected(events: Iterable[flights_replay.Departure]) -> dict[tuple[str, str], Alert]:
    """Compute the alerts by hand: of each hour that has ended at all airports."""
    latest: dict[str, int] = {}
    delays: dict[tuple[str, int], list[int]] = defaultdict(list)
    for event in events:
        latest[event["origin"]] = event["scheduled"]
        if (event["delay"] or 0) >= LATE_MINUTES:
            delays[event["origin"], event["scheduled"] // HOUR_MS].append(event["delay"])
    ended = (min(latest.values()) - OUT_OF_ORDER_MS) // HOUR_MS
    return {
        (airport, hour_of(hour)): {
            "origin": airport,
            "hour": hour_of(hour),
            "late_flights": len(late),
            "mean_delay": round(sum(late) / len(late), 1),
        }
        for (airport, hour), late in delays.items()
        if hour < ended
    }


def hour_of(number: int) -> str:
    """Write an hour, counted from 1970, as alerts do."""
    return f"{datetime.fromtimestamp(number * HOUR_MS / 1000, UTC):%Y-%m-%d %H:%M}"


def _report(found: list[Alert], expected: dict[tuple[str, str], Alert]) -> bool:
    by_hour = {(alert["origin"], alert["hour"]): alert for alert in found}
    same = by_hour == expected and len(by_hour) == len(found)
    verdict = "each once, as computed by hand" if same else f"NOT the {len(expected):,} computed by hand"
    print(f"  | … {len(found):,} alerts, {verdict}\n")
    return same
