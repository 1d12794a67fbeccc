"""Every checkpoint storage, each with a way to damage what it has stored."""

from pathlib import Path

import pytest

from checkpoint.barrier import CheckpointKind
from checkpoint.manifest import Manifest, Part
from checkpoint.storage.base import CheckpointStorage, StorageAttempt
from checkpoint.storage.local import LocalCheckpointStorage
from tests.unit.checkpoint.parts import store


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


HARNESSES = {"local": LocalHarness}


@pytest.fixture(params=HARNESSES)
def harness(request, tmp_path):
    harness = HARNESSES[request.param](tmp_path)
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
