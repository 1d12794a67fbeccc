"""The alerts of the example, over all flights of the year, beside what SQL makes of the same flights."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from connectors import KafkaSink, KafkaSource
from pipeline import JobConfig, JobStatus, StreamJob
from tests.conftest import Database
from tests.integration.kafka.readers import read_committed
from tests.kafka_broker import Topics

EXAMPLES = Path(__file__).parents[3] / "examples"

BY_HOUR = """
    SELECT origin,
           to_char(time_hour AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
           count(*),
           sum(dep_delay)
    FROM flights
    WHERE dep_delay >= 15
    GROUP BY 1, 2
"""


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, ModuleType]]:
    """The examples as modules, imported as they import each other."""
    monkeypatch.syspath_prepend(EXAMPLES)
    from importlib import import_module

    names = ("flights", "flights_replay", "realtime_alert")
    yield {name: import_module(name) for name in names}
    for name in names:
        sys.modules.pop(name, None)


def test_alerts_are_those_that_sql_finds(
    examples: dict[str, ModuleType], topic: Topics, database: Database, tmp_path: Path
) -> None:
    """Each airport and hour once, with as many late flights and the same mean delay."""
    departures, alerts = topic(partitions=3), topic(partitions=3)
    replay = examples["flights_replay"]
    replay.replay(topic.address, departures, replay.departures())

    example = examples["realtime_alert"]
    job = StreamJob(
        "alerts-of-2013", JobConfig(checkpoint_interval=timedelta(seconds=1), checkpoint_dir=tmp_path)
    )
    source = KafkaSource(departures, bootstrap_servers=topic.address, stop="latest")
    example.alerts(job.source(source, watermarks=example.in_order)).sink(
        KafkaSink(alerts, bootstrap_servers=topic.address, key=example.airport_of)
    )
    result = job.execute()
    assert result.status is JobStatus.COMPLETED
    assert result.processed_records == 336_776
    assert result.late_records == 0

    examples["flights"].load(database.dsn, lambda _: None)
    found = [json.loads(value) for value in read_committed(topic.address, alerts)]
    assert len(found) == len({(one["origin"], one["hour"]) for one in found})
    assert sorted(found, key=_place) == sorted(map(_alert, database.execute(BY_HOUR)), key=_place)


def _place(alert: dict[str, Any]) -> tuple[str, str]:
    return alert["origin"], alert["hour"]


def _alert(row: tuple[Any, ...]) -> dict[str, Any]:
    origin, hour, flights, minutes = row
    return {
        "origin": origin,
        "hour": hour,
        "late_flights": flights,
        "mean_delay": round(minutes / flights, 1),
    }
