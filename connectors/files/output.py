"""The contract of what a `FileSink` writes to: one whole file, or part files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from connectors.files.encoder import RecordEncoder
from connectors.files.staging import StagedHandle
from pipeline.core.errors import SinkError


class EpochFiles(TypedDict):
    """The transaction handle of a `FileSink`: the files that become visible with the epoch, and what goes."""

    files: list[StagedHandle]
    replaces: list[str]  # paths that are removed with it


class Output(ABC):
    """Takes the records of one attempt of one subtask.

    Args:
        final: the path the user named, absolute.
        encoder: turns records into lines.
    """

    def __init__(self, final: Path, encoder: RecordEncoder) -> None:
        self._final = final
        self._encoder = encoder
        self._rows = 0

    @abstractmethod
    def write(self, txn: EpochFiles, values: Sequence[Any]) -> None:
        """Take records into the epoch."""

    @abstractmethod
    def flush(self) -> None:
        """Hand what is buffered to the operating system."""

    def finish(self) -> None:
        """No record will follow."""

    @abstractmethod
    def pre_commit(self, txn: EpochFiles) -> EpochFiles | None:
        """Make the epoch durable; return what a commit will make visible, None for nothing."""

    @abstractmethod
    def snapshot(self) -> dict[str, Any]:
        """Return where the next record goes."""

    @abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `snapshot` stood, in another attempt."""

    def give_up(self, state: Mapping[str, Any]) -> None:
        """The run that was at `state` is not continued; called instead of `restore`."""

    def begin(self) -> None:
        """Begin a run, or continue what was restored."""

    @property
    def remarks(self) -> Sequence[str]:
        """Notes on the target, for people."""
        return ()

    @abstractmethod
    def needed(self) -> Collection[Path]:
        """Return the staged files that must not be cleaned away."""

    @abstractmethod
    def close(self) -> None:
        """Close what is open; remove it if no checkpoint can name it."""

    def _encoded(self, values: Sequence[Any]) -> bytes:
        """Return the lines of the records; an error says which of those for this output it means."""
        try:
            return self._encoder.encode(values)
        except SinkError as error:
            number = self._rows + self._first_unwritable(values) + 1
            raise error.located(position=f"{number} for {self._final.name}") from error.__cause__

    def _first_unwritable(self, values: Sequence[Any]) -> int:
        for index, value in enumerate(values):
            try:
                self._encoder.encode([value])
            except SinkError:
                return index
        return 0

    def _described(self, bytes_written: int) -> dict[str, Any]:
        """Begin a snapshot with what all outputs have in common."""
        fields = self._encoder.fields
        return {
            "type": "file",
            "file_path": str(self._final),
            "format": str(self._encoder.format),
            "bytes_written": bytes_written,
            "rows_written": self._rows,
            "fields": None if fields is None else list(fields),
        }

    def _restore_common(self, state: Mapping[str, Any], key: str) -> None:
        """Take over what all outputs have in common; `key` is what only this kind of output stores."""
        if key not in state:
            raise SinkError(
                f"the checkpoint of {self._final} was taken "
                f"{'without' if key == 'next_part' else 'with'} rolling=, the sink now is not",
                retryable=False,
                hint="set rolling= as it was, or start the job over with --fresh",
            )
        if state["format"] != self._encoder.format:
            raise SinkError(
                f"the checkpoint of {self._final} was taken as {state['format']}, "
                f"the sink now writes {self._encoder.format}",
                retryable=False,
                hint="set the format as it was, or start the job over with --fresh",
            )
        self._encoder.restore(state["fields"])
        self._rows = state["rows_written"]
