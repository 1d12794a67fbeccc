"""Writes csv and jsonl files that appear as a whole, with each record once."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from connectors.files.commit import commit_files
from connectors.files.csv_encoder import CsvLayout
from connectors.files.encoder import RecordEncoder
from connectors.files.errors import file_error, lasting_error
from connectors.files.formats import (
    FileFormat,
    csv_delimiter,
    csv_quoting,
    field_names,
    file_format,
    refuse_options,
)
from connectors.files.jsonl_encoder import JsonlEncoder
from connectors.files.lock import OutputLock
from connectors.files.output import EpochFiles, Output
from connectors.files.owner import Owner
from connectors.files.part_files import PartFiles
from connectors.files.part_numbers import Part, PartNumbers, present_parts
from connectors.files.rolling import RollingPolicy
from connectors.files.staging import remove_staged, sync_folder
from connectors.files.whole_file import WholeFile
from pipeline.core.errors import Fault, Fenced, SinkError
from pipeline.spi.connector_config import ConnectorConfig
from pipeline.spi.sink import CommitOutcome, SinkContext, SinkInfo, TwoPhaseCommitSink
from pipeline.spi.source import JsonLike


class FileSink(TwoPhaseCommitSink[Any, EpochFiles]):
    r"""Writes records to one file, or to part files with `rolling`.

    One file appears under its name when the job is complete and replaces the previous one; until then
    it grows beside it under a hidden name (`.report.csv.….staged`). Parts appear with the
    checkpoint that covers them, each at most one epoch long. Text is UTF-8, lines end with `\n`.
    As long as a run lives it holds two locks there (hidden, `….lock`), without which a second run of
    the job would take its staged files for those of a dead one, and another job could write the same
    files; some network folders have no locks.

    A csv record is a dict, a tuple or list, a dataclass, a NamedTuple or a msgspec struct. All have
    the same fields: `fields`, or those of the first record; a file without records has the names that
    the source knows, unless an operator in between makes other records. None is an empty field,
    or `null`; decimals are written without exponent, instants and durations as ISO 8601 has them, bytes as
    `\x` and hexadecimal digits, structures as JSON. A jsonl record is anything msgspec can encode;
    decimals are numbers there, and NaN and infinity, which JSON does not have, are refused.

    Args:
        path: the file; parts are named after it. Missing folders are created.
        format: `csv` or `jsonl`; default by the suffix.
        rolling: when to start the next part; None for one whole file.
        fields: names and order of the csv fields; default those of the first record.
        header: whether a csv file begins with the names of its fields.
        delimiter: of csv; default a comma, for `.tsv` a tab.
        quoting: whether quotes enclose csv fields: `minimal`, if a field needs it, or `none`, so that
            such a field is an error; default `minimal`, for `.tsv` `none`.
        null: the text of None in a csv field, such as `\N`; a text that equals it is an error.

    Raises:
        ConfigError: an unknown or compressed format, an option that does not belong to it.
        JobAlreadyRunning: another run of the job writes to that folder and lives.
        SinkError: the folder cannot be written, the disk is full, a record has other fields, another job
            writes the same file or parts.

    Example:
        >>> FileSink("report.csv", fields=["carrier", "flights"]).info.guarantee
        'exactly-once'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002
        rolling: RollingPolicy | None = None,
        fields: Sequence[str] | None = None,
        *,
        header: bool = True,
        delimiter: str | None = None,
        quoting: str | None = None,
        null: str | None = None,
    ) -> None:
        self._target = os.fspath(path)
        self._path = os.path.expanduser(self._target)  # noqa: PTH111 - a text, as it is written
        self._format = file_format(self._path, format, (FileFormat.CSV, FileFormat.JSONL))
        self._rolling = rolling
        self._csv = CsvLayout(
            field_names(self._path, fields),
            csv_delimiter(self._path, delimiter),
            header,
            csv_quoting(self._path, quoting),
            null,
        )
        of_csv = {"delimiter": delimiter, "fields": fields, "quoting": quoting, "null": null}
        refuse_options(self._path, self._format, {**of_csv, "header": header})

    @property
    def info(self) -> SinkInfo:
        final = Path(self._path).resolve()
        if self._rolling is None:
            return SinkInfo("file", self._target, "exactly-once", owns=str(final))
        parts = final.with_name(f"{final.stem}-*{final.suffix}")
        return SinkInfo("file", self._target, "exactly-once", max_parallelism=sys.maxsize, owns=str(parts))

    def to_config(self) -> ConnectorConfig:
        settings = {"path": self._target, "format": self._format, "rolling": self._rolling}
        if self._format is FileFormat.CSV:
            settings |= self._csv.to_config()
        return ConnectorConfig.of("file", settings)

    @property
    def target(self) -> Path:
        """The file that it writes, or the first of its parts."""
        final = Path(self._path).resolve()
        return final if self._rolling is None else Part(final, 0, 0).path

    def present(self) -> Sequence[Path]:
        """Return what is visible of it now: its file, or its parts."""
        final = Path(self._path).resolve()
        if self._rolling is None:
            return [final] if final.exists() else []
        return [part.path for part in present_parts(final)]

    def open(self, ctx: SinkContext) -> None:
        final = Path(self._path).resolve()  # a handle may be committed from another working directory
        _prepare_folder(final)
        self._owner = Owner.of(ctx)
        self._lock = OutputLock(final, self._owner, ctx)
        self._lock.acquire()
        self._folder = final.parent
        self._output: Output
        if self._rolling is None:
            self._output = WholeFile(final, self._encoder(ctx), self._owner)
        else:
            policy = self._rolling
            numbers = PartNumbers(
                final,
                ctx.subtask,
                ctx.parallelism,
                policy.existing,
                rewrites=ctx.choices.accept_duplicates,
            )
            self._output = PartFiles(final, self._encoder(ctx), self._owner, numbers, policy)

    def begin_transaction(self) -> EpochFiles:
        return {"files": [], "replaces": []}

    def invoke(self, txn: EpochFiles, value: Any, ctx: SinkContext) -> None:
        self._output.write(txn, [value])

    def invoke_batch(self, txn: EpochFiles, values: Sequence[Any], ctx: SinkContext) -> None:
        self._output.write(txn, values)

    def flush(self) -> None:
        self._output.flush()

    def finish(self) -> None:
        self._output.finish()

    def pre_commit(self, txn: EpochFiles) -> EpochFiles | None:
        return self._output.pre_commit(txn)

    def commit(self, txn: EpochFiles) -> CommitOutcome:
        return self._commit(txn, verify=False)

    def recover_and_commit(self, txn: EpochFiles) -> CommitOutcome:
        return self._commit(txn, verify=True)

    def abort(self, txn: EpochFiles) -> None:
        """Remove the parts of the epoch; of a whole file, earlier checkpoints may need what is staged."""
        if self._rolling is not None:
            remove_staged([Path(handle["staged"]) for handle in txn["files"]], (), recovering=False)

    def recover_and_abort(self, keep: Sequence[EpochFiles]) -> None:
        self._output.begin()
        needed = {Path(handle["staged"]) for txn in keep for handle in txn["files"]}
        needed.update(self._output.needed())
        remove_staged(self._owner.staged_files(self._folder), needed, recovering=True)

    def snapshot_state(self) -> JsonLike:
        return self._output.snapshot()

    def restore_state(self, state: JsonLike) -> None:
        self._output.restore(cast("dict[str, Any]", state))

    def give_up(self, state: JsonLike) -> None:
        self._output.give_up(cast("dict[str, Any]", state))

    @property
    def remarks(self) -> Sequence[str]:
        return self._output.remarks if hasattr(self, "_output") else ()

    def close(self) -> None:
        try:
            if hasattr(self, "_output"):
                self._output.close()
        finally:
            if hasattr(self, "_lock"):
                self._lock.release()

    def _encoder(self, ctx: SinkContext) -> RecordEncoder:
        if self._format is FileFormat.JSONL:
            return JsonlEncoder()
        return self._csv.encoder(ctx.fields)

    def _commit(self, txn: EpochFiles, *, verify: bool) -> CommitOutcome:
        try:
            outcome = commit_files(txn["files"], txn["replaces"], verify=verify)
        except SinkError as error:
            if self._lock.taken_over:
                raise Fenced(f"another run has taken over: {error.message}") from error
            raise
        if self._rolling is None and outcome in (CommitOutcome.COMMITTED, CommitOutcome.ALREADY_COMMITTED):
            self._remove_earlier(txn)
        return outcome

    def _remove_earlier(self, txn: EpochFiles) -> None:
        """Remove what earlier attempts staged for a whole file that is visible now."""
        for handle in txn["files"]:
            staged = Path(handle["staged"])
            owner = Owner.of_file(staged)
            if owner is not None:
                remove_staged(owner.staged_files(staged.parent), (), recovering=False)


def _prepare_folder(final: Path) -> None:
    """Find out before anything is read whether the file can be written."""
    folder = final.parent
    try:
        if final.exists() and not final.is_file():
            kind = "a folder" if final.is_dir() else "not a regular file"
            raise lasting_error(SinkError, Fault.CONFIG, f"cannot write {final}: it is {kind}", "name a file")
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for created in missing:
            sync_folder(created.parent)
    except OSError as error:
        raise file_error(SinkError, "create the folder", folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        denied = OSError(errno.EACCES, os.strerror(errno.EACCES))
        raise file_error(SinkError, "write to the folder", folder, denied)
