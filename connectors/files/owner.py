"""Whose a staged file is: its name says so, to every later attempt of the same job."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.spi.sink import SinkContext

_STAGED: Final = re.compile(r"\..*\.(?P<owner>[\w-]+)\.(?P<attempt>\d+)-[0-9a-f]+\.staged", re.DOTALL)


class Owner(NamedTuple):
    """Whose staged files these are.

    Args:
        name: of job, sink and subtask; the same in every attempt.
        attempt: which attempt of the job.
    """

    name: str
    attempt: int

    @classmethod
    def of(cls, ctx: SinkContext) -> Owner:
        """Build a name that can be part of a file name and that no other sink of any job has."""
        identity = "\0".join((ctx.job_name, ctx.uid, str(ctx.subtask)))
        readable = re.sub(r"[^A-Za-z0-9_-]+", "_", ctx.job_name)[:40]
        return cls(f"{readable}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}", ctx.attempt)

    @classmethod
    def of_file(cls, path: Path) -> Owner | None:
        """Read the owner from the name of a staged file; None if it is not one."""
        match = _STAGED.fullmatch(path.name)
        return None if match is None else cls(match["owner"], int(match["attempt"]))

    def new_path(self, final: Path) -> Path:
        """Return a name beside `final` that no other attempt, and no other run, uses."""
        return final.with_name(f".{final.name[:40]}.{self.name}.{self.attempt}-{secrets.token_hex(4)}.staged")

    def staged_files(self, folder: Path) -> Iterator[Path]:
        """Yield the staged files of this attempt and the earlier ones, the newest attempt first."""
        found = [
            (owner.attempt, path)
            for path in folder.iterdir()
            if (owner := Owner.of_file(path)) and owner.name == self.name and owner.attempt <= self.attempt
        ]
        return (path for _, path in sorted(found, reverse=True))
