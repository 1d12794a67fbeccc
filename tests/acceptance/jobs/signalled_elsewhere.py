"""A job that gets a SIGTERM in a thread of a source, which disturbs no wait of the main thread."""

from __future__ import annotations

import signal
import sys
import threading
import time
from datetime import timedelta

from connectors import CollectSink, GeneratorSource
from pipeline import JobConfig, StreamJob


def signal_this_thread(number: int) -> int:
    """Do so once the main thread waits for the next event of the job."""
    main, looks = threading.main_thread().ident, 0
    assert main is not None
    while looks < 20:  # in a row, since it may also be about to look at an event
        looks = looks + 1 if sys._current_frames()[main].f_code.co_name == "get" else 0
        time.sleep(0.001)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    return number


job = (
    StreamJob.builder()
    .name("signalled")
    .source(GeneratorSource(signal_this_thread, rate=0.001))
    .sink(CollectSink())
    .config(JobConfig(checkpoint_interval=timedelta(hours=1), checkpoint_rows=None))
    .build()
)
