"""What checkpoints cost: a small one, the pause at a barrier, the stream beside them, a restore."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from benchmarks.harness import Case, Limit, OnStep, Ratio, Subject
from checkpoint.storage.base import CheckpointStorage
from checkpoint.storage.local import LocalCheckpointStorage
from checkpoint.storage.objects.storage import ObjectCheckpointStorage
from connectors import CollectionSource, CollectSink
from pipeline import JobConfig, StreamJob
from pipeline.core.clock import SystemClock
from state.backend import KeyedStateBackend
from state.descriptors import ReducingStateDescriptor
from state.memory import MemoryStateBackendFactory
from tests.minio_server import MinioProcess
from tests.unit.checkpoint.parts import manifest_of

KEYS = 1_000_000
"""With a value of 100 bytes each some 100 MB."""

VALUE = "v" * 80
SMALL = 20
RECORDS = 4_000_000
GROUPS = range(128)

Open = Callable[[str], CheckpointStorage]


@contextmanager
def cases(records: int | None, on_step: OnStep) -> Generator[list[Case]]:
    """Give the cases, with a MinIO that runs meanwhile."""
    on_step("starting MinIO")
    with tempfile.TemporaryDirectory() as folder, MinioProcess(Path(folder) / "minio") as server:
        bucket = server.new_bucket()
        storages: dict[str, Open] = {
            "folder": lambda job: LocalCheckpointStorage(Path(folder) / "checkpoints", job),
            "MinIO": lambda job: ObjectCheckpointStorage(server.open(bucket), "checkpoints", job),
        }
        on_step("filling a state with 100 MB")
        backend = filled(KEYS)
        stored = {name: _store(open_, backend) for name, open_ in storages.items()}
        yield [
            Case(
                "the checkpoint of a small job",
                "ms",
                {name: _small(open_) for name, open_ in storages.items()},
                [Ratio("folder", "MinIO", 1 / 3)],
            ),
            Case(
                "restore of 100 MB",
                "s",
                {name: _restore(open_, stored[name]) for name, open_ in storages.items()},
                [Limit("folder", 3), Limit("MinIO", 5)],
                rounds=3,
            ),
            Case("pause at a barrier, 1 M keys", "ms", {"memory": _pause(backend)}, [Limit("memory", 100)]),
            Case(
                "a running reduce over 100 MB",
                "records/s",
                {
                    "no checkpoints": _throughput(records or RECORDS, None, Path(folder)),
                    "one a second": _throughput(records or RECORDS, timedelta(seconds=1), Path(folder)),
                },
                [Ratio("one a second", "no checkpoints", 0.85)],
                rounds=3,
            ),
        ]


def concatenated(total: str, _: str) -> str:
    return total


def filled(keys: int) -> KeyedStateBackend:
    """A state of `keys` keys, in memory."""
    backend = MemoryStateBackendFactory(SystemClock()).create("sum", GROUPS, len(GROUPS))
    table = backend.table(ReducingStateDescriptor(name="sum", reduce=concatenated))
    batch = table.batch(range(keys))
    for key in range(keys):
        batch[key] = f"{VALUE}{key}"
    return backend


def _small(open_: Open) -> Subject:
    """Milliseconds from the barrier to the end of the clean-up, without an engine."""

    def subject() -> float:
        storage = open_("small")
        storage.lock()
        with closing(storage):
            attempt = storage.claim()
            attempt.begin(execution_id="x", lineage="l", restored=None)
            first = attempt.history.next_checkpoint_id
            started = time.perf_counter()
            for checkpoint_id in range(first, first + SMALL):
                part = attempt.open_part("sum", 0)
                part.write(bytes(10_000))
                attempt.write_manifest(
                    manifest_of(attempt, checkpoint_id, part.seal(checkpoint_id), job="small")
                )
                attempt.note(checkpoint_id)
                attempt.clean(3)
            return (time.perf_counter() - started) * 1000 / SMALL

    return subject


def _store(open_: Open, backend: KeyedStateBackend) -> int:
    storage = open_("large")
    storage.lock()
    with closing(storage):
        attempt = storage.claim()
        part = attempt.open_part("sum", 0)
        snapshot = backend.snapshot()
        snapshot.write(part)
        snapshot.release()
        attempt.write_manifest(manifest_of(attempt, 1, part.seal(1), job="large"))
    return 1


def _restore(open_: Open, checkpoint_id: int) -> Subject:
    """Seconds from the claim to a state that can be used."""

    def subject() -> float:
        storage = open_("large")
        storage.lock()
        with closing(storage):
            started = time.perf_counter()
            attempt = storage.claim()
            manifest = attempt.load(checkpoint_id)
            backend = MemoryStateBackendFactory(SystemClock()).create("sum", GROUPS, len(GROUPS))
            with closing(attempt.read_part(manifest.parts[0])) as reader:
                backend.restore([reader])
            return time.perf_counter() - started

    return subject


def _pause(backend: KeyedStateBackend) -> Subject:
    def subject() -> float:
        started = time.perf_counter()
        snapshot = backend.snapshot()
        elapsed = time.perf_counter() - started
        snapshot.release()
        return elapsed * 1000

    return subject


def worded(number: int) -> tuple[int, str]:
    return number * 7919 % KEYS, VALUE


def first_of(pair: tuple[int, str]) -> int:
    return pair[0]


def kept(total: tuple[int, str], _: tuple[int, str]) -> tuple[int, str]:
    return total


def _throughput(records: int, interval: timedelta | None, folder: Path) -> Subject:
    def subject() -> float:
        job = (
            StreamJob.builder()
            .name("large")
            .source(CollectionSource(range(records)))
            .map(worded)
            .key_by(first_of)
            .reduce(kept, uid="kept")
            .filter(lambda pair: pair[0] < 0)
            .sink(CollectSink())
            .config(JobConfig(checkpoint_interval=interval, checkpoint_dir=folder / "throughput"))
            .build()
        )
        started = time.perf_counter()
        job.execute()
        return records / (time.perf_counter() - started)

    return subject
