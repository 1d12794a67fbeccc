"""Two jobs from Kafka to Kafka, killed at random while a producer feeds them and a reader looks on.

Alone, on a broker of its own: `python -m tests.acceptance.kafka_load --kills 100 --records 1000000`.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Producer
from kafka import KafkaConsumer
from kafka.structs import TopicPartition

from connectors.kafka.embedded import EmbeddedKafka
from tests.acceptance.conftest import Workshop
from tests.acceptance.numbers_job import manifests
from tests.integration.kafka.readers import open_transactions
from tests.kafka_broker import TIMEOUT, Topics

PARTITIONS = 4
KEYS = 50
WINDOW_MS = 2000
LIFE_S = (0.5, 5.0)
_TICK_S = 0.02
_BEGIN = 1_700_000_000_000


def record(number: int) -> dict[str, Any]:
    """Each key counts by itself; a millisecond apart, up to 90 out of order."""
    late = number * 7 % 10 * 10
    return {"key": f"k{number % KEYS}", "n": number // KEYS, "ts": _BEGIN + number - late}


class Copies:
    """What the copy must be: each key's numbers in their order, none left out, none twice."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._next: dict[str, int] = defaultdict(int)

    def see(self, row: dict[str, Any]) -> None:
        assert row["n"] == self._next[row["key"]], f"expected {self._next[row['key']]}, found {row}"
        self._next[row["key"]] += 1

    @property
    def seen(self) -> int:
        return sum(list(self._next.values()))

    @property
    def complete(self) -> bool:
        return self.seen == self._total

    def expect_complete(self) -> int:
        assert self.complete
        return self._total


class Sums:
    """What the windows must be: each once, equal to the sum made here, those of a key in their order."""

    def __init__(self, total: int) -> None:
        self._oracle: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0])
        for row in map(record, range(total)):
            window = self._oracle[row["key"], row["ts"] // WINDOW_MS * WINDOW_MS]
            window[0] += 1
            window[1] += row["n"]
        self._newest: dict[str, int] = defaultdict(int)
        self._seen = 0

    def see(self, row: dict[str, Any]) -> None:
        right = self._oracle[row["key"], row["start"]]
        assert [row["count"], row["sum"]] == right, f"expected {right}, found {row}"
        assert row["start"] > self._newest[row["key"]], f"{row} after {self._newest[row['key']]}"
        self._newest[row["key"]] = row["start"]
        self._seen += 1

    def expect_complete(self) -> int:
        assert self._seen == len(self._oracle)
        return self._seen


ORACLES: dict[str, Callable[[int], Copies | Sums]] = {"copy": Copies, "windows": Sums}


@dataclass
class Reader:
    """A read-committed client that is not the engine's, from the beginning of a topic on."""

    address: str
    topic: str
    oracle: Copies | Sums

    @contextmanager
    def _consumer(self) -> Generator[Any]:
        consumer: Any = KafkaConsumer(
            bootstrap_servers=self.address,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        consumer.assign([TopicPartition(self.topic, n) for n in range(PARTITIONS)])
        try:
            yield consumer
        finally:
            consumer.close()

    def read(self, over: threading.Event) -> int:
        """Read along until `over` is set and nothing is left; return how many there were."""
        with self._consumer() as consumer:
            while not over.is_set():
                self._take(consumer)
            ends = consumer.end_offsets(consumer.assignment())
            while any(consumer.position(one) < end for one, end in ends.items()):
                self._take(consumer)
        return self.oracle.expect_complete()

    def _take(self, consumer: Any) -> None:
        for found in consumer.poll(timeout_ms=200).values():
            for one in found:
                self.oracle.see(json.loads(one.value))


@dataclass
class Load:
    """The input, written at a pace that keeps the jobs at work until the last kill.

    Args:
        seconds: about how long it takes.
    """

    address: str
    topic: str
    records: int
    seconds: float
    stopped: threading.Event = field(default_factory=threading.Event)

    def write(self) -> None:
        # Without idempotence a batch that is sent again, as until there is a leader, may follow the next.
        settings = {"enable.idempotence": True, "linger.ms": 5, "log_level": 2}
        producer = Producer({"bootstrap.servers": self.address, **settings})
        began, written = time.monotonic(), 0
        while written < self.records and not self.stopped.is_set():
            due = min(self.records, round(self.records * (time.monotonic() - began) / self.seconds))
            for row in map(record, range(written, due)):
                producer.produce(self.topic, json.dumps(row), row["key"])
            written = due
            producer.poll(0)
            self.stopped.wait(_TICK_S)
        assert producer.flush(TIMEOUT) == 0


def live(shop: Workshop, kills: int, over: Callable[[], bool], rng: random.Random) -> int:
    """Kill the job that many times, and until all input is written; return how often."""
    killed = 0
    while killed < kills or not over():
        process = shop.start()
        try:
            process.wait(timeout=rng.uniform(*LIFE_S))
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
            process.communicate()
        else:
            raise AssertionError(f"the job ended by itself: {process.communicate()[1]}")
    return killed


def run(address: str, folder: Path, kills: int, records: int, seed: int) -> list[str]:
    """Kill both jobs `kills` times each, and see that both topics are right; return what there was to see."""
    topics = Topics(address)
    source = topics(PARTITIONS)
    load = Load(address, source, records, kills * sum(LIFE_S) / 2)
    over = threading.Event()
    with ThreadPoolExecutor() as pool:
        written = pool.submit(load.write)
        shops, lives, readers = {}, {}, {}
        for work, oracle in ORACLES.items():
            into = topics(PARTITIONS)
            folder_of = folder / work
            folder_of.mkdir()
            variables = {"PIPELINE_KAFKA": address, "TOPIC": source, "INTO": into, "WORK": work}
            shops[work] = Workshop(folder_of, "streams", variables)
            readers[work] = pool.submit(Reader(address, into, oracle(records)).read, over)
            rng = random.Random(f"{seed}-{work}")
            lives[work] = pool.submit(live, shops[work], kills, written.done, rng)
        try:
            report = [_finish(shop, lives[work].result(), work) for work, shop in shops.items()]
        finally:
            load.stopped.set()
            over.set()
    written.result()
    for work, shop in shops.items():
        into = shop.environment["INTO"]
        seen = Reader(address, into, ORACLES[work](records)).read(over)
        assert readers[work].result() == seen
        assert open_transactions(address, into) == []
        report.append(f"{work}: {seen} results, each once and right, to both readers")
    topics.delete_all()
    return report


def _finish(shop: Workshop, killed: int, work: str) -> str:
    shop.complete(LAST="yes")
    newest = manifests(shop.folder, shop.environment["INTO"])[-1].stem
    return f"{work}: killed {killed} times; the last checkpoint is {newest}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, EmbeddedKafka(Path(folder) / "broker") as broker:
        lines = run(broker.address(), Path(folder), options.kills, options.records, options.seed)
    print(*lines, f"{options.records} records, {time.monotonic() - began:.0f} s", sep="\n")


if __name__ == "__main__":
    main()
