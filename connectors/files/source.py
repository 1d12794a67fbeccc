"""Reads files as a bounded source that continues with the next unread record."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from connectors.files.csv_form import MAX_RECORD_LINES, CsvForm
from connectors.files.csv_reader import CsvReader
from connectors.files.errors import file_error, lasting_error
from connectors.files.file_mark import FileMark
from connectors.files.formats import (
    FileFormat,
    csv_delimiter,
    csv_quoting,
    field_names,
    file_format,
    line_encoding,
    refuse_options,
)
from connectors.files.jsonl_reader import JsonlReader
from connectors.files.lines import BLOCK_BYTES
from connectors.files.listing import file_ids, list_files, would_list
from connectors.files.reader import FilePosition, RecordReader, Taken
from connectors.files.seen_files import marks_from_state, recognise
from connectors.files.sink import FileSink
from connectors.files.text_reader import TextReader
from pipeline.core.errors import ConfigError, Fault, SourceError
from pipeline.core.job import JobMode
from pipeline.core.policy import ErrorPolicy, require_input_policy
from pipeline.core.records import Origin, OriginRange
from pipeline.spi.connector_config import ConnectorConfig
from pipeline.spi.source import JsonLike, Polled, PollingSource, Rejected, SourceContext, SourceInfo

_log = logging.getLogger(__name__)

_FAIL: Final = ErrorPolicy.fail()


class _Position(NamedTuple):
    """How many files are finished, and how far the one after them has been read; None if not at all."""

    finished: int
    mark: FileMark | None


class FileSource(PollingSource[Any]):
    r"""Reads one file, or all files that match a pattern, in the order of their names.

    A csv record is a dict of strings by field name, a jsonl record is the value of the line, a text
    record is the line without its line end. The origin of a record is its file and its number
    there, counted from 1. The position is `{"files": {path: …}}`: for each file the number of bytes,
    lines and records read, its size, its inode, and digests of its beginning and of what precedes
    the position.

    The files are listed when the job starts, each once, whatever links point to it. A job that
    continues rejects a file that is not the one it has read; it reads lines that were appended, and
    new files.

    Args:
        path: a file, or a pattern with `*`, `?`, `[…]` and `**`; a relative path starts in the
            working directory of the process, `~` is the user's home folder.
        format: `csv`, `jsonl` or `text`; default by the suffix.
        delimiter: of csv; default a comma, for `.tsv` a tab.
        fields: names of the csv fields, for files without a header; default their first line.
        encoding: of csv and text, any in which a line end is the byte 10; jsonl is always UTF-8.
        quoting: whether quotes enclose csv fields: `minimal`, or `none` if a quote is an ordinary
            character; default `minimal`, for `.tsv` `none`.
        null: the text of a csv field that is read as None, such as `\N`; default none, so that an
            empty field is an empty text.
        max_record_lines: the most lines of one csv record; more are taken for an unclosed quote.
        on_error: what happens to a line that cannot be read: fail, skip or dead-letter. The dead
            letter has the line as text, or as bytes if it cannot be decoded.

    Raises:
        ConfigError: an unknown or compressed format, an option that does not belong to it.
        SourceError: no such file, not the file that was read before, a line that cannot be read.

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
        quoting: str | None = None,
        null: str | None = None,
        max_record_lines: int = MAX_RECORD_LINES,
        on_error: ErrorPolicy = _FAIL,
    ) -> None:
        self._target = os.fspath(path)
        self._path = os.path.expanduser(self._target)  # noqa: PTH111 - a pattern, it may be
        self._format = file_format(self._path, format, FileFormat)
        if max_record_lines < 1:
            raise ConfigError(f"{self._target}: max_record_lines must be at least 1, not {max_record_lines}")
        self._form = CsvForm(
            field_names(self._path, fields),
            csv_delimiter(self._path, delimiter),
            csv_quoting(self._path, quoting),
            line_encoding(self._path, encoding),
            null,
            max_record_lines,
        )
        of_csv = {"delimiter": delimiter, "fields": fields, "quoting": quoting, "null": null}
        refuse_options(self._target, self._format, of_csv)
        if self._format is FileFormat.JSONL and self._form.encoding != "utf-8":
            raise ConfigError(f"{self._target}: encoding is an option of csv and text, not of jsonl")
        require_input_policy("FileSource: on_error", on_error)
        self.on_error = on_error
        self._reader: RecordReader | None = None

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("file", self._target, JobMode.BATCH_ROLLER)

    def to_config(self) -> ConnectorConfig:
        settings: dict[str, Any] = {"path": self._target, "format": self._format, "on_error": self.on_error}
        if self._format is FileFormat.CSV:
            settings |= self._form.to_config()
        elif self._format is FileFormat.TEXT:
            settings["encoding"] = self._form.encoding
        return ConnectorConfig.of("file", settings)

    def overlap(self, other: object) -> str | None:
        if not isinstance(other, FileSink | FileSource):
            return None
        if isinstance(other, FileSink) and would_list(self._path, other.target):
            return str(other.target)  # it need not be there yet
        theirs = file_ids(other.present())
        common = file_ids(self.present()).keys() & theirs.keys()
        return theirs[min(common)] if common else None

    def present(self) -> Sequence[Path]:
        """Return the files there are now; none where the job would fail to find them."""
        try:
            return [Path(name) for name in list_files(self._path).files]
        except SourceError:
            return ()

    def open(self, ctx: SourceContext[Any]) -> None:
        self._listing = list_files(self._path)
        self._remarks: list[str] = []
        for name, kept in self._listing.left_out.items():
            self._remark(f"{name} is left out: it is another name of {kept}")
        self._order = list(self._listing.files)
        self._marks: list[FileMark] = []  # of the finished files, in their order
        self._starts: Mapping[str, FileMark] = {}  # of those that were begun before

    @property
    def remarks(self) -> Sequence[str]:
        return self._remarks if hasattr(self, "_remarks") else ()

    def record_fields(self) -> Sequence[str] | None:
        if self._format is not FileFormat.CSV:
            return None
        reader = self._opened(self._listing.files[0])
        try:
            reader.seek(FilePosition())
            return reader.fields
        finally:
            reader.close()

    def restore_state(self, state: JsonLike) -> None:
        if state is None:  # nothing had been read
            return
        seen = recognise(marks_from_state(state), self._listing)
        finished = [name for name, file in seen.items() if not file.unread]
        self._starts = {name: file.mark for name, file in seen.items() if file.unread}
        self._marks = [seen[name].mark for name in finished]
        self._order = [*finished, *self._starts, *(name for name in self._listing.files if name not in seen)]
        self._position = self._at_next()

    def seek(self, position: JsonLike) -> None:
        self._open_next()

    def poll(self, demand: int) -> Polled[Any] | None:
        while self._reader is not None:
            taken, mark = self._take(self._reader, demand)
            if taken is not None:
                return self._polled(taken, mark)
            self._finish(self._reader, mark)
        return None

    def snapshot_state(self) -> JsonLike:
        if self._position is None:
            return None
        finished, mark = cast("_Position", self._position)
        # What was begun before and is not reached yet stays where it was; what is reached overrides it.
        marks = {**self._starts, **dict(zip(self._order, self._marks[:finished], strict=False))}
        if mark is not None:
            marks[self._order[finished]] = mark
        return {"files": {name: mark.to_state() for name, mark in marks.items()}}

    def estimated_records(self) -> int | None:
        """Return the size of all files over the mean length of the first lines of the first one."""
        try:
            paths = list_files(self._path).files
            size = sum(Path(path).stat().st_size for path in paths)
            with open(paths[0], "rb") as file:
                sample = file.read(BLOCK_BYTES)
        except (OSError, SourceError):
            return None
        lines = sample.count(b"\n")
        if not lines:
            return None
        header = len(paths) if self._format is FileFormat.CSV and self._form.fields is None else 0
        return max(0, size * lines // (sample.rfind(b"\n") + 1) - header)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _take(self, reader: RecordReader, demand: int) -> tuple[Taken | None, FileMark]:
        path = self._order[len(self._marks)]
        try:
            taken = reader.read(demand)
            mark = FileMark.of(reader.descriptor, reader.position)
        except OSError as error:
            raise file_error(SourceError, "read", path, error) from error
        if mark.size < mark.at.offset:
            message = f"{path} has {mark.size:,} bytes, of which {mark.at.offset:,} have been read"
            hint = "it was cut while it was read: put it back, or start the job over with --fresh"
            raise lasting_error(SourceError, Fault.USER, message, hint)
        return taken, mark

    def _polled(self, taken: Taken, mark: FileMark) -> Polled[Any]:
        path = self._order[len(self._marks)]
        numbers = taken.numbers
        origins: Sequence[Origin]
        if isinstance(numbers, range):
            origins = OriginRange(path, numbers.start, len(numbers))
        else:
            origins = [Origin(path, number) for number in numbers]
        rejected = [
            Rejected(bad.text, bad.error, Origin(path, bad.number), self.on_error) for bad in taken.bad
        ]
        position = _Position(len(self._marks), mark)
        return Polled(taken.values, position, origins=origins, rejected=rejected)

    def _finish(self, reader: RecordReader, mark: FileMark) -> None:
        if reader.unterminated and self._format is not FileFormat.JSONL:
            # A JSON value says itself whether it is whole; half a number is a number, half a text a text.
            path = self._order[len(self._marks)]
            self._remark(f"{path}:{mark.at.line} has no line end: it was read as it is, and may be cut off")
        self.close()
        self._marks.append(mark)
        self._open_next()

    def _remark(self, text: str) -> None:
        """Say it at once in the log, and at the end to the person who runs the job."""
        _log.warning("%s", text)
        self._remarks.append(text)

    def _at_next(self) -> _Position:
        """Return the position before the next record of the first file that is not finished."""
        following = self._order[len(self._marks) : len(self._marks) + 1]
        return _Position(len(self._marks), self._starts.get(following[0]) if following else None)

    def _open_next(self) -> None:
        if len(self._marks) == len(self._order):
            return
        path = self._order[len(self._marks)]
        start = self._starts.get(path)
        self._reader = self._opened(path)  # closed by `close`, whatever follows
        self._reader.seek(FilePosition() if start is None else start.at)

    def _opened(self, path: str) -> RecordReader:
        try:
            match self._format:
                case FileFormat.JSONL:
                    return JsonlReader(path)
                case FileFormat.TEXT:
                    return TextReader(path, self._form.encoding)
                case FileFormat.CSV:
                    return CsvReader(path, self._form)
        except OSError as error:
            raise file_error(SourceError, "read", path, error) from error
