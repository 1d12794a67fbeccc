"""Replay the departures of 2013 into a Kafka topic, in the order of their schedule.

    python examples/flights_replay.py                   # as fast as it goes
    python examples/flights_replay.py --rate 5000       # records per second
    python examples/flights_replay.py --days 31         # the first days of the year only

The broker is `PIPELINE_KAFKA`, as `localhost:9092`. The topic for alerts is created too. An event is
JSON; its key is the airport it leaves.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import flights
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

TOPIC: Final = "departures"
ALERTS: Final = "delay-alerts"
AIRPORTS: Final = ("EWR", "JFK", "LGA")
"""Each has a partition of its own: an empty partition would hold event time back."""

Departure = dict[str, Any]


def departures(days: int | None = None) -> list[Departure]:
    """Return the departures by scheduled time (milliseconds UTC), those of the first `days` days."""
    with io.TextIOWrapper(flights.open_csv("flights"), encoding="utf-8", newline="") as file:
        made = [_departure(number, row) for number, row in enumerate(csv.DictReader(file), 1)]
    made.sort(key=lambda event: (event["scheduled"], event["id"]))
    if days is None:
        return made
    end = made[0]["scheduled"] + days * 86_400_000
    return [event for event in made if event["scheduled"] < end]


def _departure(number: int, row: dict[str, str]) -> Departure:
    hour = datetime.fromisoformat(row["time_hour"])  # UTC, of the hour in which it is to leave
    return {
        "id": number,
        "scheduled": int(hour.timestamp() * 1000) + int(row["minute"]) * 60_000,
        "origin": row["origin"],
        "dest": row["dest"],
        "flight": f"{row['carrier']} {row['flight']}",
        "delay": None if row["dep_delay"] == "NA" else int(row["dep_delay"]),
    }


def create_topics(servers: str, *topics: str) -> None:
    """Create the topics that are not there; they keep events however long ago these were."""
    admin: Any = AdminClient({"bootstrap.servers": servers})
    present = admin.list_topics(timeout=10).topics
    missing = [
        NewTopic(topic, len(AIRPORTS), 1, config={"retention.ms": "-1"})
        for topic in topics
        if topic not in present
    ]
    if missing:
        for created in admin.create_topics(missing).values():
            created.result()


def replay(servers: str, topic: str, events: list[Departure], rate: int | None = None) -> None:
    """Write the events to `topic`, at most `rate` a second."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 20, "enable.idempotence": True})
    for event in _paced(events, rate, producer.poll):
        while True:
            try:
                producer.produce(
                    topic,
                    json.dumps(event).encode(),
                    key=event["origin"].encode(),
                    partition=AIRPORTS.index(event["origin"]),
                    timestamp=event["scheduled"],
                )
                break
            except BufferError:  # the client's queue is full: let it send
                producer.poll(1.0)
    producer.flush()


def _paced(events: list[Departure], rate: int | None, wait: Callable[[float], Any]) -> Iterator[Departure]:
    started = time.monotonic()
    for number, event in enumerate(events):
        if rate is not None and (ahead := number / rate - (time.monotonic() - started)) > 0:
            wait(ahead)
        yield event


def main() -> None:
    """Replay as the command line says."""
    parser = argparse.ArgumentParser(description="Replay the departures of 2013 into Kafka.")
    parser.add_argument("--rate", type=int, help="events a second; default: as fast as it goes")
    parser.add_argument("--days", type=int, help="the first days of the year only")
    parser.add_argument("--topic", default=TOPIC)
    arguments = parser.parse_args()
    servers = os.environ.get("PIPELINE_KAFKA")
    if servers is None:
        sys.exit("set PIPELINE_KAFKA to the broker's address, such as localhost:9092")
    create_topics(servers, arguments.topic, ALERTS)
    events = departures(arguments.days)
    replay(servers, arguments.topic, events, arguments.rate)
    print(f"{len(events):,} departures are in topic {arguments.topic}")


if __name__ == "__main__":
    main()
