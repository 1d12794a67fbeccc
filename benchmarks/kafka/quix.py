"""The window sums on Quix Streams, run by a Python of its own: `quix.py SERVERS TOPIC INTO RECORDS`."""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import timedelta
from importlib import import_module
from typing import Any

quixstreams: Any = import_module("quixstreams")  # is not installed where types are checked


def _amount(event: dict[str, Any]) -> int:
    return event["amount"]


servers, topic, into, records = sys.argv[1:]
application = quixstreams.Application(
    broker_address=servers,
    consumer_group=f"quix-{time.time_ns()}",
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
    commit_interval=1.0,
    state_dir=tempfile.mkdtemp(),
    loglevel="ERROR",
    consumer_extra_config={"fetch.min.bytes": 1},
)
frame = application.dataframe(application.topic(topic, value_deserializer="json", key_deserializer="str"))
frame = frame.apply(_amount)
frame = frame.tumbling_window(timedelta(seconds=10), grace_ms=timedelta(seconds=1)).sum().final()
frame.to_topic(application.topic(into, value_serializer="json", key_serializer="str"))
started = time.perf_counter()
application.run(count=int(records), timeout=10)
print(time.perf_counter() - started)
