"""What the operating system says about a file, as an error that a user can act on."""

from __future__ import annotations

import errno
import os
from typing import Final, TypeVar

from pipeline.core.errors import ConnectorError, Fault

E = TypeVar("E", bound=ConnectorError)

_FULL: Final = "free some space and start the job again: it continues from its last checkpoint"

_HINTS: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EFBIG: "raise the file-size limit (ulimit -f) and start the job again",
    errno.EACCES: "give the user that runs the job the right to it, or choose another path",
    errno.EPERM: "give the user that runs the job the right to it, or choose another path",
    errno.EROFS: "choose a path on a file system that can be written",
    errno.ENOENT: "check the path",
    errno.EEXIST: "a file is in the way; choose another path",
    errno.ENOTDIR: "a part of the path is a file; choose another path",
    errno.EISDIR: "name a file, not a folder",
    errno.ENAMETOOLONG: "choose a shorter name",
}

LASTING: Final = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.EEXIST,
        errno.ELOOP,
        errno.EXDEV,
    }
)
"""Errors that stay until somebody changes the path or its rights; all others may pass."""


_MISNAMED: Final = frozenset({errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EEXIST})
"""Errors of the path itself, rather than of the place it names."""


def file_error(kind: type[E], action: str, path: str | os.PathLike[str], error: OSError) -> E:
    """Translate `error`; the caller raises the result from it.

    Args:
        action: what was tried, as in `cannot {action} {path}`.
    """
    code = error.errno or 0
    reason = error.strerror or str(error)
    message = f"cannot {action} {os.fspath(path)}: {reason}"
    found = kind(message, retryable=code not in LASTING, hint=_HINTS.get(code))
    if code in _MISNAMED:
        found.fault = Fault.CONFIG
    return found


def lasting_error(kind: type[E], fault: Fault, message: str, hint: str | None) -> E:
    """Return the error for what fails until the user fixes it: a record, an argument."""
    found = kind(message, retryable=False, hint=hint)
    found.fault = fault
    return found
