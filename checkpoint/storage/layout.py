"""Where each file of a job's checkpoint folder lies, and reading what lies there.

<checkpoint_dir>/<job name>/
    lock                        held by the living run
    attempts/<n>/claim.json     what start n worked on      outcome.json   how it ended
    attempts/<n>/staging/       what it writes at present   fenced/        what that was, once n+1 exists
    manifests/<id>.json         one for each complete checkpoint
    parts/<id>-…                what the manifests name
    notes/<id>.json             one for each checkpoint whose commit is known to be done
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from checkpoint.manifest import Manifest
from checkpoint.sealed import unseal
from checkpoint.storage.base import PastAttempt
from checkpoint.storage.files import make_folder, naming
from checkpoint.storage.part_names import part_number
from pipeline.core.errors import CheckpointCorrupted, CheckpointError

_NUMBERED: Final = re.compile(r"(\d+)(?:\.json)?")
_LONGEST_NAME: Final = 200
"""Bytes; file systems allow 255, and staged names are longer than final ones."""


class JobFolder:
    """The paths below one job's folder.

    Args:
        checkpoint_dir: the folder that holds one for each job.
        job: the job's name; characters that a file name cannot have are percent-encoded.
    """

    def __init__(self, checkpoint_dir: Path, job: str) -> None:
        self.job = job
        self.root = checkpoint_dir / folder_name(job)
        self.lock = self.root / "lock"
        self.manifests = self.root / "manifests"
        self.parts = self.root / "parts"
        self._notes = self.root / "notes"
        self.all_attempts = self.root / "attempts"

    def create(self) -> None:
        """Create what is missing, durably."""
        for folder in (self.manifests, self.parts, self._notes, self.all_attempts):
            make_folder(folder)

    def attempt(self, number: int) -> Path:
        return self.all_attempts / str(number)

    def staging(self, number: int) -> Path:
        return self.attempt(number) / "staging"

    def fenced(self, number: int) -> Path:
        return self.attempt(number) / "fenced"

    def claim(self, number: int) -> Path:
        return self.attempt(number) / "claim.json"

    def outcome(self, number: int) -> Path:
        return self.attempt(number) / "outcome.json"

    def manifest(self, checkpoint_id: int) -> Path:
        return self.manifests / f"{checkpoint_id:012d}.json"

    def note(self, checkpoint_id: int) -> Path:
        return self._notes / f"{checkpoint_id:012d}.json"

    def part(self, name: str) -> Path:
        return self.parts / name

    def attempts(self) -> list[int]:
        """Numbers of all attempts, ascending."""
        return _numbers(self.all_attempts)

    def checkpoints(self) -> list[int]:
        """Numbers of all manifests, ascending."""
        return _numbers(self.manifests)

    def notes(self) -> list[int]:
        """Numbers of all notes, ascending."""
        return _numbers(self._notes)

    def part_names(self) -> dict[str, int]:
        """All parts, each with the number of the checkpoint it was written for."""
        with naming("list", self.parts):
            names = [path.name for path in self.parts.iterdir()]
        return {name: number for name in names if (number := part_number(name)) is not None}

    def read_manifest(self, checkpoint_id: int) -> Manifest:
        """Read a manifest, verified without its parts.

        Raises:
            CheckpointCorrupted: it is missing, not what was written, or of another job or number.
        """
        path = self.manifest(checkpoint_id)
        manifest = Manifest.from_bytes(_read(path), str(path))
        if (manifest.job, manifest.checkpoint_id) != (self.job, checkpoint_id):
            raise CheckpointCorrupted(
                f"{path} does not belong here: it is checkpoint {manifest.checkpoint_id} of {manifest.job}"
            )
        return manifest

    def past_attempt(self, number: int) -> PastAttempt | None:
        """Read what an attempt recorded; None if it never began."""
        claim = self._word(self.claim(number))
        if claim is None:
            return None
        outcome = self._word(self.outcome(number))
        status = None if outcome is None else outcome["status"]
        return PastAttempt(number=claim.pop("attempt"), status=status, **claim)

    def _word(self, path: Path) -> dict[str, Any] | None:
        if not path.exists():
            return None
        try:
            return unseal(_read(path), str(path))
        except CheckpointCorrupted as error:
            kept = ", ".join(map(str, self.checkpoints())) or "none"
            error.hint = f"move it away and choose: --restore ID (available: {kept}) or --fresh"
            raise


def _read(path: Path) -> bytes:
    try:
        with naming("read", path):
            return path.read_bytes()
    except CheckpointError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise CheckpointCorrupted(f"{path} is missing") from error
        raise


def _numbers(folder: Path) -> list[int]:
    with naming("list", folder):
        matches = [_NUMBERED.fullmatch(path.name) for path in folder.iterdir()]
    return sorted(int(match[1]) for match in matches if match)


def folder_name(job: str) -> str:
    """Encode a job's name as one that a file can have."""
    name = quote(job, safe=" ()+,=@").replace(".", "%2E", 1 if job.startswith(".") else 0)
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[: _LONGEST_NAME - 17]}-{hashlib.sha256(job.encode()).hexdigest()[:16]}"
