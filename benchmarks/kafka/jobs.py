"""The same work as jobs of this project."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.jobs import run
from benchmarks.kafka.loops import OUT_OF_ORDER_MS, WINDOW_MS
from benchmarks.window import SumOfAmounts, event_time, user
from connectors.kafka.formats import Bytes
from connectors.kafka.sink import KafkaSink
from connectors.kafka.source import KafkaSource
from connectors.kafka.writing_plan import Guarantee
from pipeline.api.job import StreamJob
from pipeline.core.config import JobConfig
from pipeline.windows.assigners import TumblingTimeWindows, Window
from pipeline.windows.watermarks import WatermarkStrategy

COMMIT_EVERY = timedelta(seconds=1)


def result(key: str, window: Window, total: int) -> dict[str, Any]:
    return {"user": key, "start": window.start, "sum": total}


def window_sums(servers: str, topic: str, into: str, folder: Path, guarantee: Guarantee) -> None:
    """Sum amounts by user and window of ten seconds."""
    watermarks = WatermarkStrategy.bounded_out_of_orderness(
        timedelta(milliseconds=OUT_OF_ORDER_MS), timestamp=event_time
    )
    run(
        StreamJob.builder()
        .name(into)
        .source(KafkaSource(topic, bootstrap_servers=servers, stop="latest"), watermarks=watermarks)
        .key_by(user)
        .window(TumblingTimeWindows.of(timedelta(milliseconds=WINDOW_MS)))
        .aggregate(SumOfAmounts(), window_function=result)
        .sink(KafkaSink(into, bootstrap_servers=servers, guarantee=guarantee))
        .config(_config(folder))
        .build()
    )


def copy(servers: str, topic: str, into: str, folder: Path, guarantee: Guarantee = "exactly-once") -> None:
    """Copy each record's value as it is."""
    run(
        StreamJob.builder()
        .name(into)
        .source(KafkaSource(topic, bootstrap_servers=servers, stop="latest", value=Bytes()))
        .sink(KafkaSink(into, bootstrap_servers=servers, value=Bytes(), guarantee=guarantee))
        .config(_config(folder))
        .build()
    )


def _config(folder: Path) -> JobConfig:
    return JobConfig(checkpoint_interval=COMMIT_EVERY, checkpoint_dir=folder)
