"""Many files for one job: each epoch closes its own, a commit renames them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors.files.encoder import RecordEncoder
from connectors.files.output import EpochFiles, Output
from connectors.files.owner import Owner
from connectors.files.rolling import RollingPolicy
from connectors.files.staging import StagedFile


class PartFiles(Output):
    """Writes `name-<subtask>-<number>.csv` beside the path the user named.

    The number of the next part stands in the snapshot, so that the number of a committed part is
    never given again; a job that starts over continues behind the parts that are there.
    """

    def __init__(
        self, final: Path, encoder: RecordEncoder, owner: Owner, subtask: int, policy: RollingPolicy
    ) -> None:
        super().__init__(final, encoder)
        self._owner = owner
        self._policy = policy
        self._subtask = subtask
        self._next: int | None = None
        self._part: StagedFile | None = None
        self._part_rows = 0
        self._closed_bytes = 0
        self._closed: list[StagedFile] = []  # of the epoch that is being written

    def write(self, txn: EpochFiles, values: Sequence[Any]) -> None:
        limit = self._policy.max_rows
        while values:
            room = len(values) if limit is None else limit - self._part_rows
            self._append(values[:room])
            values = values[room:]
            self._close_if_full(txn)

    def flush(self) -> None:
        if self._part is not None:
            self._part.flush()

    def pre_commit(self, txn: EpochFiles) -> EpochFiles | None:
        self._close_part(txn)
        self._closed.clear()
        return txn if txn["files"] else None

    def snapshot(self) -> dict[str, Any]:
        open_bytes = 0 if self._part is None else self._part.length
        return self._described(self._closed_bytes + open_bytes) | {"next_part": self._next}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._restore_common(state, "next_part")
        self._closed_bytes = state["bytes_written"]
        self._next = state["next_part"]

    def needed(self) -> Collection[Path]:
        return {part.path for part in (*self._closed, self._part) if part is not None}

    def close(self) -> None:
        for part in (*self._closed, self._part):
            if part is not None:
                part.discard()  # not pre-committed: no checkpoint names it
        self._closed.clear()
        self._part = None

    def _append(self, values: Sequence[Any]) -> None:
        data = self._encoded(values)
        if self._part is None:
            self._part = StagedFile.create(self._owner, self._next_path())
            self._part_rows = 0
            self._part.write(self._encoder.header())
        self._part.write(data)
        self._part_rows += len(values)
        self._rows += len(values)

    def _close_if_full(self, txn: EpochFiles) -> None:
        assert self._part is not None
        rows, size = self._policy.max_rows, self._policy.max_bytes
        full = rows is not None and self._part_rows >= rows
        if full or (size is not None and self._part.length >= size):
            self._close_part(txn)

    def _close_part(self, txn: EpochFiles) -> None:
        part = self._part
        if part is None:
            return
        part.sync()
        part.close()
        txn["files"].append(part.handle())
        self._closed.append(part)
        self._closed_bytes += part.length
        self._part = None
        self._part_rows = 0

    def _next_path(self) -> Path:
        number = self._first_free() if self._next is None else self._next
        self._next = number + 1
        return part_path(self._final, self._subtask, number)

    def _first_free(self) -> int:
        found = (_part_of(self._final, path) for path in present_parts(self._final))
        return max((part[1] + 1 for part in found if part and part[0] == self._subtask), default=0)


def part_path(final: Path, subtask: int, number: int) -> Path:
    """Return the path of a part, beside the path that the user named."""
    return final.with_name(f"{final.stem}-{subtask}-{number:06d}{final.suffix}")


def present_parts(final: Path) -> Sequence[Path]:
    """Return the parts that there are, of all subtasks."""
    folder = final.parent
    return [path for path in folder.iterdir() if _part_of(final, path)] if folder.is_dir() else []


def _part_of(final: Path, path: Path) -> tuple[int, int] | None:
    """Return the subtask and the number of a part; None for any other file."""
    name = re.fullmatch(rf"{re.escape(final.stem)}-(\d+)-(\d+){re.escape(final.suffix)}", path.name)
    return None if name is None else (int(name[1]), int(name[2]))
