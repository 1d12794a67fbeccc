"""Numbers from a csv file to a Kafka topic, by key, and to part files: two sinks of one job."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from typing import Any

from gate import GatedFile

from connectors import FileSink, KafkaSink, RollingPolicy
from pipeline import JobConfig, RestartStrategy, StreamJob

PACE = float(os.environ.get("PACE", "0"))


def double(row: dict[str, Any]) -> dict[str, int]:
    if PACE:
        time.sleep(PACE)
    return {"n": int(row["n"]), "doubled": 2 * int(row["n"])}


job = StreamJob(
    "numbers",
    JobConfig(
        checkpoint_rows=100,
        checkpoint_min_pause=timedelta(0),
        source_batch_size=50,
        restart=(
            RestartStrategy.fixed_delay(3, timedelta(milliseconds=100))
            if "RESTARTS" in os.environ
            else RestartStrategy.none()
        ),
    ),
)
numbers = job.source(GatedFile("in.csv"), uid="in").map(double)
numbers.sink(
    KafkaSink(
        os.environ["TOPIC"],
        key=lambda row: str(row["n"] % 5),
        transactional_id=os.environ["TOPIC"],
        marks_topic=os.environ.get("MARKS", "pipeline-marks"),
        transaction_timeout=timedelta(milliseconds=int(os.environ.get("TRANSACTION_TIMEOUT", "60000"))),
        config={"linger.ms": 1},
    )
)
if "ONLY_KAFKA" not in os.environ:
    numbers.sink(FileSink("out/numbers.csv", rolling=RollingPolicy()))
