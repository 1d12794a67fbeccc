"""A stream that does not end: how long records take, and how long a killed job is away."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from benchmarks.kafka import topics

RATE: Final = 5000
TICK_SECONDS: Final = 0.01
LATENCY_SECONDS: Final = 15
WARM_UP_SECONDS: Final = 4
KILLS: Final = 20
DELIVERY_SECONDS: Final = 0.3
"""What a job has committed before it was killed is at the reader after this time."""

START_SECONDS: Final = 60


def latencies(servers: str, folder: Path) -> list[float]:
    """Return how long each record takes to a reader of committed records, in seconds."""
    topic = f"latency-{time.time_ns()}"
    with (
        _running(servers, topic),
        _job(servers, topic, folder, interval_ms=100),
        _reader(servers, topic) as seen,
    ):
        seen.wait_for_one()
        time.sleep(WARM_UP_SECONDS)
        seen.forget()
        time.sleep(LATENCY_SECONDS)
        return seen.latencies()


def restarts(servers: str, folder: Path) -> list[float]:
    """Kill the job at random moments; return the seconds from each new start to its first commit."""
    topic = f"restart-{time.time_ns()}"
    rng = random.Random(7)
    found: list[float] = []
    with _running(servers, topic), _reader(servers, topic) as seen:
        for _ in range(KILLS + 1):
            started = time.perf_counter()
            with _job(servers, topic, folder, interval_ms=500):
                seen.forget()
                found.append(seen.wait_for_one() - started)
                time.sleep(rng.uniform(1, 2.5))
            time.sleep(DELIVERY_SECONDS)
    return found[1:]  # the first start came after no kill


@contextmanager
def _running(servers: str, topic: str) -> Generator[None]:
    """Write records to a new topic, each with the time it was made, until the block is left."""
    topics.create(servers, topic)
    topics.create(servers, f"{topic}-copied")
    stop = threading.Event()
    thread = threading.Thread(target=_write, args=(servers, topic, stop), name="benchmark-writer")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _write(servers: str, topic: str, stop: threading.Event) -> None:
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 2})
    each_tick = int(RATE * TICK_SECONDS)
    due = time.perf_counter()
    while not stop.wait(max(0.0, due - time.perf_counter())):
        due += TICK_SECONDS
        for _ in range(each_tick):
            producer.produce(topic, b"%0100d" % time.perf_counter_ns())
        producer.poll(0)
    producer.flush()


@contextmanager
def _job(servers: str, topic: str, folder: Path, interval_ms: int) -> Generator[None]:
    """Run the copying job as a process of its own; leaving the block kills it."""
    script = Path(__file__).with_name("copy_job.py")
    command = Path(sys.executable).with_name("pipeline")
    variables = {
        "PIPELINE_KAFKA": servers,
        "PIPELINE_CHECKPOINT_DIR": str(folder),
        "COPY_TOPIC": topic,
        "COPY_INTERVAL_MS": str(interval_ms),
    }
    process = subprocess.Popen(
        [str(command), "run", str(script)],
        env={**os.environ, **variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


class _Seen:
    """What the reader has seen since it was last told to forget: (when, how long it took), in seconds."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._arrivals: list[tuple[float, float]] = []

    def add(self, values: list[bytes]) -> None:
        now = time.perf_counter()
        with self._condition:
            self._arrivals += [(now, now - int(value) / 1e9) for value in values]
            self._condition.notify_all()

    def forget(self) -> None:
        with self._condition:
            self._arrivals.clear()

    def wait_for_one(self) -> float:
        """Wait for the first record and return when it came."""
        with self._condition:
            if not self._condition.wait_for(lambda: self._arrivals, START_SECONDS):
                raise RuntimeError(f"the job committed nothing within {START_SECONDS} s")
            return self._arrivals[0][0]

    def latencies(self) -> list[float]:
        with self._condition:
            return [latency for _, latency in self._arrivals]


@contextmanager
def _reader(servers: str, topic: str) -> Generator[_Seen]:
    """Read what the job has committed until the block is left."""
    seen = _Seen()
    stop = threading.Event()
    thread = threading.Thread(
        target=_read, args=(servers, f"{topic}-copied", seen, stop), name="benchmark-reader"
    )
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _read(servers: str, topic: str, seen: _Seen, stop: threading.Event) -> None:
    consumer = topics.committed_reader(servers, topic)
    while not stop.is_set():
        messages = consumer.consume(5000, 0.005)
        values = [message.value() for message in messages if message.error() is None]
        if values:
            seen.add([value for value in values if isinstance(value, bytes)])
    consumer.close()
