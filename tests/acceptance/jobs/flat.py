"""Copies and sums of a topic up to an offset, with little room; what it needed is in `peak`."""

from __future__ import annotations

import atexit
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors import KafkaSink, KafkaSource
from pipeline import JobConfig, StreamJob, TumblingTimeWindows, WatermarkStrategy

topic = os.environ["TOPIC"]


def key(record: dict[str, Any]) -> str:
    return record["key"]


def timestamp(record: dict[str, Any]) -> int:
    return record["ts"]


def add(total: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    return {**total, "n": total["n"] + record["n"]}


def result(key: str, window: Any, total: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "start": window.start, "sum": total["n"]}


def sink(name: str) -> KafkaSink:
    return KafkaSink(os.environ[name], key=key, config={"queue.buffering.max.kbytes": 2_000})


@atexit.register
def note_peak() -> None:
    Path("peak").write_bytes(Path("/proc/self/status").read_bytes())


job = StreamJob(topic, JobConfig(checkpoint_rows=10_000, checkpoint_min_pause=timedelta(milliseconds=1)))
source = KafkaSource(
    topic, stop={topic: {0: int(os.environ["STOP"])}}, config={"queued.max.messages.kbytes": 2_000}
)
bounded = WatermarkStrategy.bounded_out_of_orderness(timedelta(milliseconds=100), timestamp=timestamp)
records = job.source(source, watermarks=bounded, uid="in")
records.sink(sink("COPIES"), uid="copies")
sums = records.key_by(key).window(TumblingTimeWindows.of(timedelta(seconds=2)))
sums.reduce(add, window_function=result).sink(sink("SUMS"), uid="sums")
