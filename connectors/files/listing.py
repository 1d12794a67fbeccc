"""Which files a path or a pattern names: each once, however many names it has."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from connectors.files.errors import file_error, lasting_error
from connectors.files.owner import Owner
from pipeline.core.errors import Fault, SourceError

FileId: TypeAlias = tuple[int, int]
"""Device and inode, which all names of a file have in common."""


class Listing:
    """What was found.

    Args:
        ids: of the files, by all their names.

    Attributes:
        files: one name of each file, in their order: the real path, else the first name.
    """

    def __init__(self, ids: Mapping[str, FileId]) -> None:
        self._ids = ids
        self._names: dict[FileId, str] = {}
        distinct = len(set(ids.values())) == len(ids)
        for name in ids if distinct else sorted(ids, key=_is_link):
            self._names.setdefault(ids[name], name)
        self._inodes = {inode: name for (_, inode), name in self._names.items()}
        self.files = sorted(self._names.values())

    @property
    def ids(self) -> Set[FileId]:
        """What identifies the files."""
        return self._names.keys()

    @property
    def left_out(self) -> Mapping[str, str]:
        """The names that lead to a file in `files`, and what it is called there."""
        return {name: kept for name in self._ids if (kept := self.name_of(name)) not in (name, None)}

    def name_of(self, name: str) -> str | None:
        """Return what the file is called in `files` that this name leads to; None if none was found."""
        found = self._ids.get(name)
        return None if found is None else self._names[found]

    def with_inode(self, inode: int) -> str | None:
        """Return the name of the file with this inode, on whatever device."""
        return self._inodes.get(inode)


def list_files(path: str) -> Listing:
    """List the file of this path, or all that match the pattern, sorted by name.

    Of several names that lead to one file the real path is taken, else the first. What sinks have
    staged is left out.

    Raises:
        SourceError: there is none, or one is not a regular file.
    """
    exact = not is_pattern(path)
    names = [path] if exact else sorted(_matching(path))
    if not names:
        raise lasting_error(
            SourceError, Fault.CONFIG, f"no file matches {path} (from {Path.cwd()})", "check the path"
        )
    return Listing({name: _checked(name) for name in names})


def is_pattern(path: str) -> bool:
    """Whether a path is a pattern; a file whose name looks like one is not."""
    return glob.has_magic(path) and not Path(path).exists()


def would_list(path: str, file: Path) -> bool:
    """Whether a path or pattern names a file that may not exist yet.

    Args:
        path: what a source reads.
        file: the resolved path of the file.
    """
    if not is_pattern(path):
        return Path(path).resolve() == file
    parts = Path(path).absolute().parts
    fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    folder = Path(*parts[:fixed]).resolve()
    return file.is_relative_to(folder) and _matches(parts[fixed:], file.relative_to(folder).parts)


def file_ids(paths: Iterable[Path]) -> Mapping[FileId, str]:
    """Return the files that exist, by what identifies them."""
    return {(found.st_dev, found.st_ino): str(path) for path in paths if (found := _stat(path)) is not None}


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _matching(pattern: str) -> list[str]:
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob knows no absolute pattern
    return [name for name in found if not Path(name).is_dir() and Owner.of_file(Path(name)) is None]


def _checked(name: str) -> FileId:
    path = Path(name)
    try:
        found = path.stat()
    except OSError as error:
        raise file_error(SourceError, "read", path, error) from error
    if path.is_dir():
        raise lasting_error(
            SourceError, Fault.CONFIG, f"{path} is a folder", f"name its files: {path / '*.csv'}"
        )
    if not path.is_file():
        raise lasting_error(SourceError, Fault.CONFIG, f"{path} is not a regular file", "name a file")
    return found.st_dev, found.st_ino


def _is_link(name: str) -> bool:
    return os.path.realpath(name) != os.path.abspath(name)  # noqa: PTH100 - `resolve` would follow links


def _matches(pattern: Sequence[str], names: Sequence[str]) -> bool:
    """Whether names of folders and a file match a pattern's parts, as `glob` takes them."""
    if not pattern or not names:
        return not pattern and not names
    part, name = pattern[0], names[0]
    hidden = name.startswith(".") and not part.startswith(".")
    if part == "**":
        if len(pattern) > 1 and _matches(pattern[1:], names):
            return True
        return not hidden and ((len(names) == 1 and len(pattern) == 1) or _matches(pattern, names[1:]))
    return not hidden and fnmatchcase(name, part) and _matches(pattern[1:], names[1:])
