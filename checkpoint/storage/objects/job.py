"""The objects of one job, and reading what they say."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from checkpoint.manifest import Manifest
from checkpoint.storage.objects.keys import JobKeys
from checkpoint.storage.objects.store import ObjectStore
from checkpoint.storage.objects.uploads import Uploads
from pipeline.core.errors import CheckpointCorrupted


@dataclass(frozen=True, slots=True)
class JobObjects:
    """Where a job's objects are.

    Args:
        store: holds them.
        keys: their keys.
        uploads: carries parts there.
    """

    store: ObjectStore
    keys: JobKeys
    uploads: Uploads

    def url(self, key: str) -> str:
        """The name of an object for people."""
        return f"{self.store.location}/{key}"

    def read_manifest(self, checkpoint_id: int, key: str) -> Manifest:
        """Read a manifest, verified without its parts.

        Raises:
            CheckpointCorrupted: it is missing, not what was written, or of another job or number.
        """
        data = self.store.get(key)
        if data is None:
            raise CheckpointCorrupted(f"{self.url(key)} is missing")
        manifest = Manifest.from_bytes(data, self.url(key))
        if (manifest.job, manifest.checkpoint_id) != (self.keys.job, checkpoint_id):
            raise CheckpointCorrupted(
                f"{self.url(key)} does not belong here: it is checkpoint {manifest.checkpoint_id} of "
                f"{manifest.job}"
            )
        return manifest

    def chunks(self) -> dict[str, list[str]]:
        """All parts that are stored, each with the keys of its objects."""
        found: dict[str, list[str]] = defaultdict(list)
        for key in self.store.list(self.keys.parts):
            found[self.keys.part_name(key)].append(key)
        return dict(found)
