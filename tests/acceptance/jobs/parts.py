"""Copies `in.csv` to part files; what becomes of earlier ones is said by the environment."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

from connectors import FileSink, FileSource, RollingPolicy
from pipeline import JobConfig, StreamJob

existing: Any = os.environ.get("EXISTING", "append")

job = (
    StreamJob.builder()
    .name("parts")
    .source(FileSource("in.csv"))
    .sink(FileSink("out/all.csv", rolling=RollingPolicy(max_rows=500, existing=existing)))
    .config(JobConfig(checkpoint_rows=1000, checkpoint_min_pause=timedelta(0), source_batch_size=250))
    .build()
)
