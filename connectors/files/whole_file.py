"""One file for the whole job: staged over all epochs, renamed when it is complete."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from connectors.files.encoder import RecordEncoder
from connectors.files.output import EpochFiles, Output
from connectors.files.owner import Owner
from connectors.files.staging import StagedFile
from pipeline.core.errors import SinkError


class WholeFile(Output):
    """Appends every epoch to one staged file.

    A checkpoint names that file and how much of it counts. So it is removed only while no
    checkpoint can name it. A later attempt continues it in place, under another name, which its
    checksum finds again. Where the writer before it may live on, it continues a copy; the file that
    was copied stays until the attempt after it: until then the newest checkpoint may still be the
    one that names it.

    Raises:
        SinkError: the folder cannot be written.
    """

    def __init__(self, final: Path, encoder: RecordEncoder, owner: Owner) -> None:
        super().__init__(final, encoder)
        self._owner = owner
        self._file = StagedFile.create(owner, final)
        self._restored_from: Path | None = None
        self._finished = False
        self._handed_over: Mapping[str, Any] | None = None  # the state of a file an earlier attempt finished
        self._pre_committed = False
        self._named = False

    def write(self, txn: EpochFiles, values: Sequence[Any]) -> None:
        if self._finished:
            raise SinkError(f"{self._final} is complete, but more records came", retryable=False)
        if values:
            data = self._encoded(values)
            self._begin_file()
            self._file.write(data)
            self._rows += len(values)

    def flush(self) -> None:
        self._file.flush()

    def finish(self) -> None:
        if not self._finished:
            self._begin_file()
            self._finished = True

    def pre_commit(self, txn: EpochFiles) -> EpochFiles | None:
        if self._pre_committed:
            return None
        self._named = True
        self._file.sync()
        if not self._finished:
            return None
        self._pre_committed = True
        return {"files": [self._file.handle()], "replaces": []}

    def snapshot(self) -> dict[str, Any]:
        if self._handed_over is not None:
            return dict(self._handed_over)
        self._named = True
        return self._described(self._file.length) | {
            "staged": str(self._file.path),
            "sha256": self._file.sha256(),
            "complete": self._finished,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._restore_common(state, "staged")
        if state["complete"]:  # that checkpoint lists the handle: committing it is all there is to do
            self._handed_over = state
            self._finished = self._pre_committed = True
            return
        length, sha256 = state["bytes_written"], state["sha256"]
        if length == 0:
            return
        for path in self._candidates(Path(state["staged"])):
            if self._continue(path, length, sha256):
                return
        raise SinkError(
            f"cannot continue {self._final}: {state['staged']} no longer holds the {length} bytes "
            "that the checkpoint covers",
            retryable=False,
            hint="find out who changed or removed it, or start the job over with --fresh",
        )

    def needed(self) -> Collection[Path]:
        return {self._file.path} | ({self._restored_from} if self._restored_from else set())

    def close(self) -> None:
        if self._named:
            self._file.close()
        else:
            self._file.discard()

    def _continue(self, path: Path, length: int, sha256: str) -> bool:
        """Seek past the first `length` bytes of `path`, if they are those of the checkpoint."""
        in_place = StagedFile.reopen(self._owner, self._final, path, length, sha256)
        if in_place is not None:
            self._file.discard()
            self._file = in_place
            self._named = True  # by the checkpoint that it is continued from
        elif path.is_file() and self._file.copy_beginning(path, length, sha256):
            self._restored_from = path
        else:
            return False
        return True

    def _begin_file(self) -> None:
        if self._file.length == 0:
            self._file.write(self._encoder.header())

    def _candidates(self, staged: Path) -> list[Path]:
        """Return where the bytes can be: under the checkpoint's name, another attempt's, or in a copy."""
        others = [path for path in self._owner.staged_files(self._final.parent) if path != self._file.path]
        return [staged, *(path for path in others if path != staged), self._final]
