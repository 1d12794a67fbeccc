"""Alerts on departures that run late: Kafka → windows of event time → Kafka, each alert once.

    export PIPELINE_KAFKA=localhost:9092
    python examples/flights_replay.py           # fills the topic `departures`
    pipeline run examples/realtime_alert.py     # reads it, and whatever else comes; Ctrl-C stops it

An alert says how many flights an airport sent off late within an hour, and how late on average. Kill it
in the middle and run it again: who reads committed records sees each alert once.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypedDict

from connectors import KafkaSink, KafkaSource
from pipeline import JobConfig, Stream, StreamJob, TumblingTimeWindows, WatermarkStrategy, Window

LATE_MINUTES = 15
HOUR = timedelta(hours=1)


class Event(TypedDict):
    """A departure as the topic has it."""

    origin: str
    flight: str
    scheduled: int
    delay: int | None


class Departure(TypedDict):
    """What is needed of it."""

    origin: str
    flight: str
    delay: int


class Delay(TypedDict):
    """What is known of the late flights of one airport and hour."""

    flights: int
    minutes: int


class Alert(TypedDict):
    """What is sent out: once for each airport and hour."""

    origin: str
    hour: str
    late_flights: int
    mean_delay: float


def scheduled(event: Event) -> int:
    return event["scheduled"]


def parse(event: Event) -> Departure:
    return {"origin": event["origin"], "flight": event["flight"], "delay": event["delay"] or 0}


def is_late(departure: Departure) -> bool:
    return departure["delay"] >= LATE_MINUTES


def origin(departure: Departure) -> str:
    return departure["origin"]


class MeanDelay:
    """Counts flights and minutes: what their mean is made of."""

    def create_accumulator(self) -> Delay:
        return {"flights": 0, "minutes": 0}

    def add(self, value: Departure, accumulator: Delay) -> Delay:
        return {
            "flights": accumulator["flights"] + 1,
            "minutes": accumulator["minutes"] + value["delay"],
        }

    def get_result(self, accumulator: Delay) -> Delay:
        return accumulator


def alert(airport: str, hour: Window, delay: Delay) -> Alert:
    return {
        "origin": airport,
        "hour": f"{datetime.fromtimestamp(hour.start / 1000, UTC):%Y-%m-%d %H:%M}",
        "late_flights": delay["flights"],
        "mean_delay": round(delay["minutes"] / delay["flights"], 1),
    }


def airport_of(alert: Alert) -> str:
    return alert["origin"]


def alerts(events: Stream[Event]) -> Stream[Alert]:
    """Turn departures, in event time, into alerts by airport and hour."""
    return (
        events.map(parse)
        .filter(is_late)
        .key_by(origin)
        .window(TumblingTimeWindows.of(HOUR))
        .aggregate(MeanDelay(), window_function=alert)
    )


job = StreamJob("realtime-alert", JobConfig(checkpoint_interval=timedelta(seconds=1)))
in_order = WatermarkStrategy.bounded_out_of_orderness(timedelta(minutes=1), timestamp=scheduled)
alerts(job.source(KafkaSource("departures"), watermarks=in_order)).sink(
    KafkaSink("delay-alerts", key=airport_of)
)
