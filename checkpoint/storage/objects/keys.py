"""Where each object of a job lies below the prefix of all checkpoints.

<prefix>/<job name>/
    lock.json                  the lease of the living run
    log/<slot>.json            one for each claim, beginning, decision, note and end: see `log`
    manifests/<id>-<attempt>.json
    parts/<name>               the first chunk of a part; <name>.1, <name>.2 … the others
"""

from __future__ import annotations

import re
import sys
from typing import Final

from checkpoint.storage.layout import folder_name

_MANIFEST: Final = re.compile(r"\d{12}-(\d+)\.json")
_SLOT: Final = re.compile(r"(\d{12})\.json")


class JobKeys:
    """The keys of one job's objects.

    Args:
        prefix: of all checkpoints, without a slash at the end; may be empty.
        job: the job's name; characters that a file name cannot have are percent-encoded.
    """

    def __init__(self, prefix: str, job: str) -> None:
        self.job = job
        self.root = f"{prefix}/{folder_name(job)}" if prefix else folder_name(job)
        self.lock = f"{self.root}/lock.json"
        self.log = f"{self.root}/log/"
        self.manifests = f"{self.root}/manifests/"
        self.parts = f"{self.root}/parts/"

    def slot(self, number: int) -> str:
        return f"{self.log}{number:012d}.json"

    def slot_number(self, key: str) -> int | None:
        """The slot of a key; None if the key does not belong to the log."""
        match = _SLOT.fullmatch(key.removeprefix(self.log))
        return int(match[1]) if match else None

    def manifest(self, checkpoint_id: int, attempt: int) -> str:
        return f"{self.manifests}{checkpoint_id:012d}-{attempt}.json"

    def manifest_attempt(self, key: str) -> int:
        """The attempt that wrote a manifest; for anything else a number above all attempts."""
        match = _MANIFEST.fullmatch(key.removeprefix(self.manifests))
        return int(match[1]) if match else sys.maxsize

    def chunk(self, part: str, index: int) -> str:
        """A part's chunk; a part that fits one chunk is one object of its name."""
        return f"{self.parts}{part}.{index}" if index else f"{self.parts}{part}"

    def part_name(self, key: str) -> str:
        """The part that a chunk belongs to."""
        return key.removeprefix(self.parts).partition(".")[0]
