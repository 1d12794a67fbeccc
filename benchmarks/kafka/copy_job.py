"""A job that copies a topic without end; run by the command, so that it can be killed and started again."""

from __future__ import annotations

import os
from datetime import timedelta

from connectors import KafkaSink, KafkaSource
from connectors.kafka import Bytes
from pipeline import JobConfig, StreamJob

topic = os.environ["COPY_TOPIC"]
interval = timedelta(milliseconds=int(os.environ["COPY_INTERVAL_MS"]))

job = (
    StreamJob.builder()
    .name(f"copy-{topic}")
    .source(KafkaSource(topic, value=Bytes()))
    .sink(KafkaSink(f"{topic}-copied", value=Bytes(), config={"linger.ms": 5}))
    .config(JobConfig(checkpoint_interval=interval))
    .build()
)
