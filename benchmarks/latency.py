"""How long one record takes from source to sink while nothing else is on its way."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from benchmarks.harness import Case, Limit, OnStep, Subject
from benchmarks.jobs import run
from pipeline.api.job import StreamJob
from pipeline.core.job import JobMode
from pipeline.spi.sink import Sink, SinkContext, SinkInfo
from pipeline.spi.source import JsonLike, Source, SourceContext, SourceInfo

RECORDS = 2000
MOST_RECORDS = 10_000
QUIET_SECONDS = 0.002
"""Between one record's arrival and the next one's start: long enough for every thread to fall asleep."""


@contextmanager
def cases(records: int | None, _on_step: OnStep) -> Generator[list[Case]]:
    """Give the 99th percentile, which has a goal, and the median beside it."""
    count = min(records or RECORDS, MOST_RECORDS)
    work = "one record through a quiet job"
    yield [
        Case(f"{work}, p99", "ms", {"pipeline": _percentile(count, 0.99)}, [Limit("pipeline", 5)], rounds=3),
        Case(f"{work}, median", "ms", {"pipeline": _percentile(count, 0.5)}, rounds=3),
    ]


def _percentile(count: int, share: float) -> Subject:
    return lambda: sorted(_latencies(count))[int(count * share)]


class _OneAtATime(Source[int]):
    """Emits the time of its emission, the next one only after the last has arrived."""

    def __init__(self, count: int, arrived: threading.Event) -> None:
        self._left = count
        self._arrived = arrived

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("one-at-a-time", "benchmark", JobMode.SQL_TASK, durable=False)

    def run(self, ctx: SourceContext[int]) -> None:
        quiet = threading.Event()
        while self._left and ctx.wait_demand():
            quiet.wait(QUIET_SECONDS)
            with ctx.checkpoint_lock:
                ctx.emit([time.perf_counter_ns()])
                self._left -= 1
            self._arrived.wait()
            self._arrived.clear()

    def cancel(self) -> None:
        self._arrived.set()

    def snapshot_state(self) -> JsonLike:
        return self._left

    def restore_state(self, state: JsonLike) -> None:
        self._left = state


class _Stopwatch(Sink[int]):
    """Notes how long each record took."""

    def __init__(self, arrived: threading.Event) -> None:
        self._arrived = arrived
        self.milliseconds: list[float] = []

    @property
    def info(self) -> SinkInfo:
        return SinkInfo("stopwatch", "benchmark", "none")

    def invoke_batch(self, values: Sequence[int], ctx: SinkContext) -> None:
        now = time.perf_counter_ns()
        self.milliseconds += [(now - emitted) / 1e6 for emitted in values]
        self._arrived.set()


def unchanged(emitted: int) -> int:
    return emitted


def parity(emitted: int) -> int:
    return emitted % 2


def latest(_: int, emitted: int) -> int:
    return emitted


def _latencies(count: int) -> list[float]:
    """Send `count` records through a map, an exchange and a keyed reduce: two vertices."""
    arrived = threading.Event()
    sink = _Stopwatch(arrived)
    run(
        StreamJob.builder()
        .name("latency")
        .source(_OneAtATime(count, arrived))
        .map(unchanged)
        .key_by(parity)
        .reduce(latest)
        .sink(sink)
        .build()
    )
    return sink.milliseconds
