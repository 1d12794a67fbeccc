"""Which format a file has, from its name or as the user says."""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from pipeline.core.errors import ConfigError


class FileFormat(StrEnum):
    """How records are written in a file."""

    CSV = "csv"
    JSONL = "jsonl"
    TEXT = "text"


class Quoting(StrEnum):
    """Whether quotes enclose the fields of a csv file."""

    MINIMAL = "minimal"  # where a field needs it
    NONE = "none"  # never: a quote is a character like any other


_SUFFIXES: Final = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".jsonl": FileFormat.JSONL,
    ".ndjson": FileFormat.JSONL,
    ".txt": FileFormat.TEXT,
    ".log": FileFormat.TEXT,
}
_COMPRESSED: Final = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip"})


def file_format(path: str, given: str | None, known: Collection[FileFormat]) -> FileFormat:
    """Return the format of `path`: what was `given`, else what its suffix says.

    Args:
        path: of one file or of many, with a suffix or without.
        given: what the user says it is.
        known: the formats that can be had here.

    Raises:
        ConfigError: an unknown format, a suffix that says nothing, or a compressed file.
    """
    suffix = PurePath(path).suffix.lower()
    if suffix in _COMPRESSED:
        raise ConfigError(
            f"{path}: compressed files ({suffix}) are not supported",
            hint="decompress it first and name the plain file",
        )
    names = ", ".join(known)
    if given is not None:
        if given not in list(known):
            raise ConfigError(f"{path}: format must be one of {names}, not {given!r}")
        return FileFormat(given)
    found = _SUFFIXES.get(suffix)
    if found is None or found not in known:
        suffixes = ", ".join(suffix for suffix, means in _SUFFIXES.items() if means in known)
        raise ConfigError(
            f"{path}: the suffix {suffix!r} implies no known format",
            hint=f"set format= to one of {names}, or use one of the suffixes {suffixes}",
        )
    return found


def csv_delimiter(path: str, given: str | None) -> str:
    """Return the delimiter of a csv file: what was `given`, else a tab for `.tsv` and a comma for others."""
    if given is None:
        return "\t" if PurePath(path).suffix.lower() == ".tsv" else ","
    if len(given) != 1 or given in '"\r\n':
        raise ConfigError(
            f"{path}: delimiter must be one character, neither quote nor line end, not {given!r}"
        )
    return given


def csv_quoting(path: str, given: str | None) -> Quoting:
    """Return the quoting of a csv file: what was `given`, else none for `.tsv` and minimal for others.

    Tab-separated values have no quotes by their definition, and most such files are full of loose ones.
    """
    if given is None:
        return Quoting.NONE if PurePath(path).suffix.lower() == ".tsv" else Quoting.MINIMAL
    if given not in list(Quoting):
        raise ConfigError(f"{path}: quoting must be one of {', '.join(Quoting)}, not {given!r}")
    return Quoting(given)


def refuse_options(path: str, found: FileFormat, of_csv: Mapping[str, object]) -> None:
    """Refuse options of csv for another format.

    Args:
        path: of the file, for the message.
        found: its format.
        of_csv: what was given for each option of csv; None, and True for one that is on, is the default.

    Raises:
        ConfigError: one was given, and the file is not csv.
    """
    given = [name for name, value in of_csv.items() if value is not None and value is not True]
    if given and found is not FileFormat.CSV:
        raise ConfigError(f"{path}: {', '.join(given)}: options of csv, not of {found}")


def field_names(path: str, given: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the names of the csv fields as given, None where the records or the file name them.

    Raises:
        ConfigError: there are none, or two of one name, of which one would be lost.
    """
    if given is None:
        return None
    if isinstance(given, str) or not given or len(set(given)) < len(given):
        raise ConfigError(f"{path}: fields must be different names, not {given!r}")
    return tuple(given)


def line_encoding(path: str, name: str) -> str:
    """Return the encoding's canonical name; a byte order mark is the reader's business, not the encoding's.

    Raises:
        ConfigError: it is unknown, or a line end is not the byte 10 in it, so that lines cannot be
            told apart before decoding.
    """
    try:
        encoding = codecs.lookup(name).name
    except LookupError as error:
        raise ConfigError(f"{path}: unknown encoding {name!r}") from error
    if encoding == "utf-8-sig":
        return "utf-8"
    if '",\n'.encode(encoding) != b'",\n':
        raise ConfigError(
            f"{path}: the encoding {name} is not supported", hint="convert the file to UTF-8 first"
        )
    return encoding
