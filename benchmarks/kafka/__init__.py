"""Kafka to Kafka on a real broker: speed beside a loop and Quix Streams, latency, restarts, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final
from unittest.mock import patch

from benchmarks.harness import Case, Limit, OnStep, Ratio, Subject
from benchmarks.kafka import jobs, loops, topics
from benchmarks.kafka.live import latencies, restarts
from connectors.kafka.embedded import EmbeddedKafka
from connectors.kafka.outgoing import Outgoing
from pipeline.runtime.epoch_logs import SinkLog

RECORDS: Final = 1_000_000
QUIX: Final = Path(sys.prefix) / "quix" / "bin" / "python"
"""An environment of its own, which `make bench` makes."""

QUIX_SHARE: Final = 10
"""Quix Streams gets a tenth of the records: it would take minutes for all."""

MEMORY_TIMES: Final = 10
"""How many times as many records the memory case has in its second run: ten million beside one."""

Work = Callable[[str, str, int], None]
"""Reads a number of records from the first topic and writes them to the second."""


@dataclass
class Bench:
    """A broker with the topics that are read, and a folder for checkpoints."""

    servers: str
    records: int
    folder: Path
    _numbers: Iterator[int] = field(default_factory=count)

    def subject(self, topic: str, work: Work, answer: object, *, share: int = 1) -> Subject:
        """Make a subject that measures records a second and is checked by what readers of its topic see."""
        records = self.records // share

        def measured() -> float:
            into = f"out-{next(self._numbers)}"
            topics.create(self.servers, into)
            started = time.perf_counter()
            work(topic, into, records)
            elapsed = time.perf_counter() - started
            found = summary(topics.committed(self.servers, into))
            if answer is not None and found != answer:
                raise RuntimeError(f"readers of {into} see {found}, expected {answer}")
            return records / elapsed

        return measured


@contextmanager
def cases(records: int | None, on_step: OnStep) -> Generator[list[Case]]:
    """Start a broker, fill its topics, give the cases, and stop it."""
    with tempfile.TemporaryDirectory(prefix="pipeline-benchmark-") as folder:
        on_step("starting Kafka")
        with EmbeddedKafka(Path(folder) / "kafka") as broker:
            bench = Bench(broker.address(), records or RECORDS, Path(folder) / "checkpoints")
            on_step(f"writing {bench.records:,} events")
            topics.fill(bench.servers, "events", topics.json_events(bench.records))
            topics.fill(bench.servers, "few-events", topics.json_events(bench.records // QUIX_SHARE))
            topics.fill(bench.servers, "hundred", topics.hundred_bytes(bench.records))
            yield [
                _windows(bench),
                _copy(bench),
                _log(bench),
                *_latency(bench),
                *_restart(bench),
                _memory(bench),
            ]


def summary(values: list[bytes]) -> tuple[int, int]:
    """Say how many results there are and what they add up to, or how many bytes they have."""
    if values and values[0].startswith(b"{"):
        return len(values), sum(json.loads(value)["sum"] for value in values)
    return len(values), sum(map(len, values))


def _windows(bench: Bench) -> Case:
    answer = _expected(bench)

    def loop(topic: str, into: str, records: int) -> None:
        loops.window_sums(bench.servers, topic, into, records)

    def exactly_once(topic: str, into: str, _: int) -> None:
        jobs.window_sums(bench.servers, topic, into, bench.folder, "exactly-once")

    def at_least_once(topic: str, into: str, _: int) -> None:
        jobs.window_sums(bench.servers, topic, into, bench.folder, "at-least-once")

    subjects = {
        "loop": bench.subject("events", loop, answer),
        "pipeline": bench.subject("events", exactly_once, answer),
        "pipeline at-least-once": bench.subject("events", at_least_once, answer),
    }
    goals = [Ratio("pipeline", "loop", 1.2), Ratio("pipeline at-least-once", "loop", 1.3)]
    if QUIX.exists():
        subjects["Quix Streams"] = _quix(bench)
        goals.append(Ratio("pipeline", "Quix Streams", 12))
    return Case("JSON → 10-second keyed window sum → JSON", "records/s", subjects, goals, rounds=3)


def _expected(bench: Bench) -> tuple[int, int]:
    """Let the loop say once what all must give."""
    topics.create(bench.servers, "expected")
    loops.window_sums(bench.servers, "events", "expected", bench.records)
    return summary(topics.committed(bench.servers, "expected"))


def _quix(bench: Bench) -> Subject:
    """Quix Streams closes no window at the end of the input, so its results are fewer: nothing to compare.

    The time is what it says itself, from the start of its application: without Python's own start.
    """

    def measured() -> float:
        into = f"quix-{time.time_ns()}"
        topics.create(bench.servers, into)
        records = bench.records // QUIX_SHARE
        script = Path(__file__).with_name("quix.py")
        command = [str(QUIX), str(script), bench.servers, "few-events", into, str(records)]
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        return records / float(done.stdout.split()[-1])

    return measured


def _copy(bench: Bench) -> Case:
    def loop(topic: str, into: str, records: int) -> None:
        loops.copy(bench.servers, topic, into, records)

    answer = (bench.records, 100 * bench.records)
    subjects = {
        "loop": bench.subject("hundred", loop, answer),
        "pipeline": bench.subject("hundred", _copy_job(bench), answer),
    }
    name = "copy from topic to topic, exactly once, 100 bytes each"
    return Case(name, "records/s", subjects, [Ratio("pipeline", "loop", 0.8)], rounds=3)


def _copy_job(bench: Bench) -> Work:
    return lambda topic, into, _: jobs.copy(bench.servers, topic, into, bench.folder)


def _log(bench: Bench) -> Case:
    """The log's worst case: a job that does nothing else."""

    def without(topic: str, into: str, records: int) -> None:
        with patch.object(Outgoing, "to_bytes", return_value=b""), patch.object(SinkLog, "append", _nothing):
            _copy_job(bench)(topic, into, records)

    answer = (bench.records, 100 * bench.records)
    subjects = {
        "without the log": bench.subject("hundred", without, answer),
        "pipeline": bench.subject("hundred", _copy_job(bench), answer),
    }
    goals = [Ratio("pipeline", "without the log", 0.9)]
    return Case("the price of the epoch log", "records/s", subjects, goals, rounds=5)


def _nothing(log: SinkLog, payload: bytes) -> None:
    """Stand in for the log."""


def _latency(bench: Bench) -> list[Case]:
    def p99() -> float:
        found = sorted(latencies(bench.servers, bench.folder))
        return found[int(len(found) * 0.99)] * 1000

    work = "latency at 5,000 records/s, checkpoint every 100 ms, read committed"
    return [Case(f"{work}, p99", "ms", {"pipeline": p99}, [Limit("pipeline", 250)], rounds=3)]


def _restart(bench: Bench) -> list[Case]:
    seconds: list[float] = []

    def at(share: float) -> Subject:
        def percentile() -> float:
            if not seconds:
                seconds.extend(sorted(restarts(bench.servers, bench.folder)))
            return seconds[int((len(seconds) - 1) * share)]

        return percentile

    work = "from a start after kill -9 to the first commit, checkpoint every 500 ms"
    return [
        Case(f"{work}, median", "s", {"pipeline": at(0.5)}, [Limit("pipeline", 2.5)], repeats=False),
        Case(f"{work}, p99", "s", {"pipeline": at(0.99)}, [Limit("pipeline", 5)], repeats=False),
    ]


def _memory(bench: Bench) -> Case:
    """Compare the peaks of two fresh processes, one with few records and one with many."""
    many = bench.records * MEMORY_TIMES

    def growth() -> float:
        topics.fill(bench.servers, "many", topics.hundred_bytes(many))
        return _peak_megabytes(bench, "many") - _peak_megabytes(bench, "hundred")

    name = f"memory that {many:,} records need beyond {bench.records:,}"
    return Case(name, "MB", {"pipeline": growth}, [Limit("pipeline", 40)], repeats=False)


def _peak_megabytes(bench: Bench, topic: str) -> float:
    into = f"{topic}-copied"
    topics.create(bench.servers, into)
    command = [sys.executable, "-m", "benchmarks.kafka.peak_memory"]
    arguments = [bench.servers, topic, into, str(bench.folder)]
    done = subprocess.run(
        [*command, *arguments], check=True, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    return float(done.stdout)
