"""Which format a file has, from its name or as the user says."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from enum import StrEnum
from pathlib import PurePath
from typing import Final

from pipeline.core.errors import ConfigError


class FileFormat(StrEnum):
    """How records stand in a file."""

    CSV = "csv"
    JSONL = "jsonl"


_SUFFIXES: Final = {
    ".csv": FileFormat.CSV,
    ".tsv": FileFormat.CSV,
    ".jsonl": FileFormat.JSONL,
    ".ndjson": FileFormat.JSONL,
}
_COMPRESSED: Final = frozenset({".gz", ".bz2", ".xz", ".zst", ".zip"})


def file_format(path: str, given: str | None) -> FileFormat:
    """Return the format of `path`: what was `given`, else what its suffix says.

    Raises:
        ConfigError: an unknown format, a suffix that says nothing, or a compressed file.
    """
    suffix = PurePath(path).suffix.lower()
    if suffix in _COMPRESSED:
        raise ConfigError(
            f"{path}: compressed files ({suffix}) are not supported",
            hint="decompress it first and name the plain file",
        )
    known = ", ".join(FileFormat)
    if given is not None:
        if given not in list(FileFormat):
            raise ConfigError(f"{path}: format must be one of {known}, not {given!r}")
        return FileFormat(given)
    if suffix not in _SUFFIXES:
        raise ConfigError(
            f"{path}: the suffix {suffix!r} does not tell the format",
            hint=f"say format= one of {known}, or use a suffix of {', '.join(_SUFFIXES)}",
        )
    return _SUFFIXES[suffix]


def csv_delimiter(path: str, given: str | None) -> str:
    """Return the delimiter of a csv file: what was `given`, else a tab for `.tsv` and a comma for others."""
    if given is None:
        return "\t" if PurePath(path).suffix.lower() == ".tsv" else ","
    if len(given) != 1 or given in '"\r\n':
        raise ConfigError(
            f"{path}: delimiter must be one character, neither quote nor line end, not {given!r}"
        )
    return given


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
