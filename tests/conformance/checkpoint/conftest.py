"""Every checkpoint storage, each with a way to damage what it has stored."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Manifest, Part
from checkpoint.storage.base import CheckpointStorage, StorageAttempt
from checkpoint.storage.local import LocalCheckpointStorage
from checkpoint.storage.objects.keys import JobKeys
from checkpoint.storage.objects.storage import ObjectCheckpointStorage
from checkpoint.storage.objects.store import ObjectStore
from tests.minio_server import S3Server
from tests.unit.checkpoint.parts import store
from tests.unit.checkpoint.storage.objects.memory_store import MemoryStore


class LocalHarness:
    """Checkpoints in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._opened: list[LocalCheckpointStorage] = []

    def open(self, job: str = "job") -> CheckpointStorage:
        """A new handle, as another process has it; not locked."""
        storage = LocalCheckpointStorage(self._root, job)
        self._opened.append(storage)
        return storage

    def manifest(self, checkpoint_id: int) -> str:
        return str(self._root / "job" / "manifests" / f"{checkpoint_id:012d}.json")

    def part(self, name: str) -> str:
        return str(self._root / "job" / "parts" / name)

    def claim_word(self, attempt: int) -> str:
        return str(self._root / "job" / "attempts" / str(attempt) / "claim.json")

    def names(self) -> set[str]:
        """Names of all manifests and parts there are."""
        job = self._root / "job"
        return {path.name for folder in ("manifests", "parts") for path in (job / folder).iterdir()}

    def read(self, name: str) -> bytes:
        return Path(name).read_bytes()

    def damage(self, name: str, data: bytes | None) -> None:
        """Replace what is stored, or remove it."""
        if data is None:
            Path(name).unlink()
        else:
            Path(name).write_bytes(data)

    def close(self) -> None:
        for storage in self._opened:
            storage.close()


class ObjectHarness:
    """Checkpoints in an object store."""

    def __init__(self, store: Callable[[], ObjectStore]) -> None:
        self._new_store = store
        self._store = store()
        self._opened: list[ObjectCheckpointStorage] = []
        self._keys = JobKeys("checkpoints", "job")

    def open(self, job: str = "job") -> CheckpointStorage:
        """A new handle, as another process has it; not locked."""
        storage = ObjectCheckpointStorage(self._new_store(), "checkpoints", job)
        self._opened.append(storage)
        return storage

    def manifest(self, checkpoint_id: int) -> str:
        """The newest of those that attempts have written for the number."""
        prefix = self._keys.manifest(checkpoint_id, 0).removesuffix("0.json")
        return [*self._store.list(prefix), f"{prefix}1.json"][0]

    def part(self, name: str) -> str:
        return self._keys.chunk(name, 0)

    def claim_word(self, attempt: int) -> str:
        """Where it says what it works on: the entry after its claim."""
        keys = self._store.list(self._keys.log)
        entries = {key: json.loads(self._store.get(key) or b"") for key in keys}
        return next(
            key for key, entry in entries.items() if (entry["kind"], entry["attempt"]) == ("begin", attempt)
        )

    def names(self) -> set[str]:
        """Names of all manifests and parts there are."""
        manifests = {
            f"{key.removeprefix(self._keys.manifests).partition('-')[0]}.json"
            for key in self._store.list(self._keys.manifests)
        }
        return manifests | {self._keys.part_name(key) for key in self._store.list(self._keys.parts)}

    def read(self, name: str) -> bytes:
        data = self._store.get(name)
        assert data is not None
        return data

    def damage(self, name: str, data: bytes | None) -> None:
        """Replace what is stored, or remove it."""
        if data is None:
            self._store.delete([name])
        else:
            self._store.put(name, data)

    def close(self) -> None:
        for storage in self._opened:
            storage.close()
        self._store.close()


def local(root: Path, request: pytest.FixtureRequest) -> LocalHarness:
    return LocalHarness(root)


def memory(root: Path, request: pytest.FixtureRequest) -> ObjectHarness:
    objects: dict[str, tuple[bytes, int]] = {}
    return ObjectHarness(lambda: MemoryStore(objects))


def minio(root: Path, request: pytest.FixtureRequest) -> ObjectHarness:
    server: S3Server = request.getfixturevalue("s3")
    bucket = server.new_bucket()
    return ObjectHarness(lambda: server.open(bucket))


HARNESSES = {"local": local, "objects in memory": memory, "minio": minio}


@pytest.fixture(params=HARNESSES)
def harness(request, tmp_path):
    harness = HARNESSES[request.param](tmp_path, request)
    yield harness
    harness.close()


@pytest.fixture
def storage(harness):
    storage = harness.open()
    storage.lock()
    return storage


@pytest.fixture
def attempt(storage):
    """The first attempt, begun."""
    attempt = storage.claim()
    attempt.begin(execution_id="x-1", lineage="l-1", restored=None)
    return attempt


@pytest.fixture
def take():
    """Take a whole checkpoint, as the runtime does; noted unless told otherwise."""

    def take(
        attempt: StorageAttempt,
        checkpoint_id: int,
        *parts: bytes,
        kind: CheckpointKind = CheckpointKind.PERIODIC,
        noted: bool = True,
        logs: tuple[Part, ...] = (),
    ) -> Manifest:
        stored = tuple(
            store(attempt, checkpoint_id, data, uid="reduce:a/b", subtask=subtask)
            for subtask, data in enumerate(parts)
        )
        manifest = Manifest(
            job="job",
            mode="STREAMING",
            checkpoint_id=checkpoint_id,
            kind=kind,
            execution_id="x-1",
            lineage="l-1",
            attempt=attempt.number,
            parent=None,
            created_ms=0,
            source_state={"source": checkpoint_id},
            operator_state={},
            sink_state={},
            committables={},
            graph={},
            parts=stored,
            logs=logs,
            counters={},
        )
        attempt.write_manifest(manifest)
        if noted:
            attempt.note(checkpoint_id)
        return manifest

    return take
