"""Kafka to Kafka without an end: a copy by key, or sums by key and two seconds in two subtasks."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from connectors import KafkaSink, KafkaSource
from pipeline import JobConfig, RestartStrategy, StreamJob, TumblingTimeWindows, WatermarkStrategy

into = os.environ["INTO"]
windows = os.environ["WORK"] == "windows"
stop = "latest" if "LAST" in os.environ else None


def key(record: dict[str, Any]) -> str:
    return record["key"]


def timestamp(record: dict[str, Any]) -> int:
    return record["ts"]


def add(total: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    return {"count": total.get("count", 1) + 1, "n": total["n"] + record["n"]}


def result(key: str, window: Any, total: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "start": window.start, "count": total.get("count", 1), "sum": total["n"]}


job = StreamJob(
    into,
    JobConfig(
        checkpoint_interval=timedelta(milliseconds=200),
        checkpoint_min_pause=timedelta(milliseconds=10),
        restart=RestartStrategy.none(),
        parallelism=2 if windows else 1,
    ),
)
sink = KafkaSink(
    into,
    key=key,
    transactional_id=into,
    transaction_timeout=timedelta(milliseconds=int(os.environ.get("TRANSACTION_TIMEOUT", "60000"))),
    config={"linger.ms": 1},
)
bounded = WatermarkStrategy.bounded_out_of_orderness(timedelta(milliseconds=100), timestamp=timestamp)
records = job.source(KafkaSource(os.environ["TOPIC"], stop=stop), watermarks=bounded, uid="in")
if windows:
    sums = records.key_by(key).window(TumblingTimeWindows.of(timedelta(seconds=2)))
    sums.reduce(add, window_function=result).sink(sink)
else:
    records.sink(sink)
