"""Which of the files there are now were read before, and how far."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from connectors.files.errors import file_error, lasting_error
from connectors.files.file_mark import FileMark
from connectors.files.listing import Listing
from pipeline.core.errors import Fault, SourceError


def marks_from_state(state: Any) -> dict[str, FileMark]:
    """Read the marks of a stored position, by the names that the files had.

    Raises:
        SourceError: it is of another form, as an earlier release stored it.
    """
    try:
        files = cast("Mapping[str, Any]", state["files"])
        return {name: FileMark.from_state(mark) for name, mark in files.items()}
    except (KeyError, TypeError) as error:
        raise lasting_error(
            SourceError,
            Fault.USER,
            f"the checkpoint holds a position that this release cannot read: {error!r}",
            "start the job with the release that took it, or start it over with --fresh",
        ) from error


class SeenFile(NamedTuple):
    """A file that was read before.

    Args:
        mark: how far.
        unread: whether there is more to read, which may have been appended since.
    """

    mark: FileMark
    unread: bool = False


def recognise(marks: Mapping[str, FileMark], listing: Listing) -> dict[str, SeenFile]:
    """Find the files again that were read before: those in the listing, and those that are gone permanently.

    A file may have been appended to, and one that has been read to its end may be gone. One that
    has been renamed is known again where the new name is in the listing too.

    Returns:
        the files by the names that they have now.

    Raises:
        SourceError: a file is not the one that was read, or is gone before its end.
    """
    return dict(_recognised(name, mark, listing) for name, mark in marks.items())


def _recognised(name: str, mark: FileMark, listing: Listing) -> tuple[str, SeenFile]:
    difference = None
    listed = listing.name_of(name)
    if listed is not None:
        with _opened(listed) as descriptor:
            difference = mark.difference(descriptor)
            if difference is None:
                return listed, SeenFile(mark, mark.is_exceeded(descriptor))
    renamed = listing.with_inode(mark.inode)
    if renamed is not None:
        with _opened(renamed) as descriptor:
            if mark.is_renamed(descriptor):
                return renamed, SeenFile(mark, mark.is_exceeded(descriptor))
    if difference is not None:
        raise lasting_error(
            SourceError,
            Fault.USER,
            f"{name} is not the file that was read before: {mark.at.offset:,} bytes of that were read, "
            f"and {difference}",
            "put the original file back, or start the job over with --fresh; "
            "records may be appended to a file, and other files added",
        )
    if not mark.complete:
        raise lasting_error(
            SourceError,
            Fault.USER,
            f"{name} is gone: {mark.at.offset:,} of its {mark.size:,} bytes were read before",
            "put the file back, or start the job over with --fresh",
        )
    return name, SeenFile(mark)


@contextmanager
def _opened(name: str) -> Generator[int]:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise file_error(SourceError, "read", name, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
