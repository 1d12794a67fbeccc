"""Reads files as a bounded source that continues with the next unread record."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from connectors.files.csv_reader import CsvReader
from connectors.files.errors import file_error, lasting_error
from connectors.files.formats import FileFormat, csv_delimiter, field_names, file_format, line_encoding
from connectors.files.jsonl_reader import JsonlReader
from connectors.files.lines import BLOCK_BYTES
from connectors.files.reader import FilePosition, RecordReader
from pipeline.core.errors import ConfigError, Fault, SourceError
from pipeline.core.job import JobMode
from pipeline.core.records import OriginRange
from pipeline.spi.source import JsonLike, Polled, PollingSource, SourceContext, SourceInfo


class _Position(NamedTuple):
    """How many files are finished, and where the one after them stands."""

    finished: int
    at: FilePosition


class FileSource(PollingSource[Any]):
    """Reads one file, or all that match a pattern, in the order of their names.

    A csv record is a dict of strings by field name, a jsonl record is what the line holds. The
    origin of a record is its file and its number there, counted from 1. The position is
    `{"files": {path: byte offset}, "current": path, "line", "record"}`.

    The files are listed when the job starts. What is appended to a finished file is not read; a
    file that has appeared by the time a job continues is.

    Args:
        path: a file, or a pattern with `*`, `?`, `[…]` and `**`; a relative one starts at the
            working directory of the process.
        format: `csv` or `jsonl`; default what the suffix says.
        delimiter: of csv; default a comma, for `.tsv` a tab.
        fields: names of the csv fields, for files without a header; default their first line.
        encoding: of csv, any in which a line end is the byte 10; jsonl is always UTF-8.

    Raises:
        ConfigError: an unknown or compressed format, an option that does not belong to it.
        SourceError: no such file, a file changed under the position, a line that cannot be read.

    Example:
        >>> FileSource("flights/*.csv").info.kind
        'file'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002
        *,
        delimiter: str | None = None,
        fields: Sequence[str] | None = None,
        encoding: str = "utf-8",
    ) -> None:
        self._path = os.fspath(path)
        self._format = file_format(self._path, format)
        self._encoding = line_encoding(self._path, encoding)
        self._delimiter = csv_delimiter(self._path, delimiter)
        self._fields = field_names(self._path, fields)
        if self._format is FileFormat.JSONL and (
            delimiter or fields is not None or self._encoding != "utf-8"
        ):
            raise ConfigError(
                f"{self._path}: delimiter, fields and encoding are options of csv, not of jsonl"
            )
        self._reader: RecordReader | None = None

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("file", self._path, JobMode.BATCH_ROLLER)

    def open(self, ctx: SourceContext[Any]) -> None:
        self._order = self._matching()
        self._ends: list[int] = []  # of the finished files, in their order

    def seek(self, position: JsonLike) -> None:
        at = FilePosition()
        if position is not None:
            at = self._continue_from(cast("Mapping[str, Any]", position))
        self._position = _Position(len(self._ends), at)
        if len(self._ends) < len(self._order):
            self._reader = self._open_reader(self._order[len(self._ends)], at)

    def poll(self, demand: int) -> Polled[Any] | None:
        while self._reader is not None:
            path = self._order[len(self._ends)]
            try:
                values = self._reader.read(demand)
            except OSError as error:
                raise file_error(SourceError, "read", path, error) from error
            at = self._reader.position
            if values is not None:
                origins = OriginRange(path, at.record - len(values) + 1, len(values))
                return Polled(values, _Position(len(self._ends), at), origins=origins)
            self._next_file(at.offset)
        return None

    def snapshot_state(self) -> JsonLike:
        if not isinstance(self._position, _Position):
            return self._position
        finished, at = self._position
        files = dict(zip(self._order[:finished], self._ends, strict=False))
        current = self._order[finished] if finished < len(self._order) else None
        if current is not None:
            files[current] = at.offset
        return {"files": files, "current": current, "line": at.line, "record": at.record}

    def estimated_records(self) -> int | None:
        """Return the size of all files over the mean length of the first lines of the first one."""
        try:
            paths = self._matching()
            size = sum(Path(path).stat().st_size for path in paths)
            with open(paths[0], "rb") as file:
                sample = file.read(BLOCK_BYTES)
        except (OSError, SourceError):
            return None
        lines = sample.count(b"\n")
        if not lines:
            return None
        header = len(paths) if self._format is FileFormat.CSV and self._fields is None else 0
        return max(0, size * lines // (sample.rfind(b"\n") + 1) - header)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _matching(self) -> list[str]:
        exact = Path(self._path).exists() or not glob.has_magic(self._path)
        if exact:
            files = [self._path]
        else:
            found = glob.glob(self._path, recursive=True)  # noqa: PTH207 - Path.glob knows no absolute pattern
            files = sorted(path for path in found if not Path(path).is_dir())
        if not files:
            raise SourceError(
                f"no file matches {self._path} (from {Path.cwd()})", retryable=False, hint="check the path"
            )
        for path in files:
            self._check_regular(Path(path))
        return files

    def _check_regular(self, path: Path) -> None:
        try:
            path.stat()
        except OSError as error:
            raise file_error(SourceError, "read", path, error) from error
        if path.is_dir():
            hint = f"name its files: {path / f'*.{self._format}'}"
            raise lasting_error(SourceError, Fault.CONFIG, f"{path} is a folder", hint)
        if not path.is_file():
            raise lasting_error(SourceError, Fault.CONFIG, f"{path} is not a regular file", "name a file")

    def _continue_from(self, position: Mapping[str, Any]) -> FilePosition:
        """Put the finished files first, then the current one, then all that are not begun."""
        files: Mapping[str, int] = position["files"]
        current: str | None = position["current"]
        finished = [path for path in files if path != current]
        unread = [path for path in self._order if path not in files]
        self._ends = [files[path] for path in finished]
        if current is None:
            self._order = finished + unread
            return FilePosition()
        if current not in self._order:
            raise SourceError(
                f"{current} is gone: the job stands at byte {files[current]} of it",
                retryable=False,
                hint="put the file back, or start the job over with --fresh",
            )
        self._order = [*finished, current, *unread]
        return FilePosition(files[current], position["line"], position["record"])

    def _open_reader(self, path: str, at: FilePosition) -> RecordReader:
        try:
            if self._format is FileFormat.JSONL:
                return JsonlReader(path, at)
            return CsvReader(path, at, self._fields, self._delimiter, self._encoding)
        except OSError as error:
            raise file_error(SourceError, "read", path, error) from error

    def _next_file(self, end: int) -> None:
        self.close()
        self._ends.append(end)
        if len(self._ends) < len(self._order):
            self._reader = self._open_reader(self._order[len(self._ends)], FilePosition())
