"""Many files for one job: each epoch closes its own, a commit renames them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors.files.encoder import RecordEncoder
from connectors.files.output import EpochFiles, Output
from connectors.files.owner import Owner
from connectors.files.part_numbers import PartNumbers
from connectors.files.rolling import RollingPolicy
from connectors.files.staging import StagedFile


class PartFiles(Output):
    """Writes `name-<subtask>-<number>.csv` beside the path the user named.

    The number of the next part is in the snapshot, so that the number of a committed part is
    never given again; a job that starts over continues after the parts that are there.
    """

    def __init__(
        self, final: Path, encoder: RecordEncoder, owner: Owner, numbers: PartNumbers, policy: RollingPolicy
    ) -> None:
        super().__init__(final, encoder)
        self._owner = owner
        self._policy = policy
        self._numbers = numbers
        self._replaced: list[str] = []  # by the first epoch of this run
        self._part: StagedFile | None = None
        self._part_rows = 0
        self._closed_bytes = 0
        self._closed: list[StagedFile] = []  # of the epoch that is being written

    def begin(self) -> None:
        self._replaced = list(map(str, self._numbers.begin()))

    def give_up(self, state: Mapping[str, Any]) -> None:
        if "first_part" in state:  # else it was one file then
            self._numbers.give_up(state)

    @property
    def remarks(self) -> Sequence[str]:
        remark = self._numbers.remark
        return [] if remark is None else [remark]

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
        txn["replaces"], self._replaced = self._replaced, []
        return txn if txn["files"] or txn["replaces"] else None

    def snapshot(self) -> dict[str, Any]:
        open_bytes = 0 if self._part is None else self._part.length
        return self._described(self._closed_bytes + open_bytes) | self._numbers.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self._restore_common(state, "next_part")
        self._closed_bytes = state["bytes_written"]
        self._numbers.restore(state)

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
            self._part = StagedFile.create(self._owner, self._numbers.take())
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
