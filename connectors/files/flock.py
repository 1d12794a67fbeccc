"""A lock on an open file, which ends with the process that holds it."""

from __future__ import annotations

import errno
import fcntl
from typing import Final

CANNOT_LOCK: Final = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
"""What a file system without locks answers."""


def try_flock(descriptor: int) -> bool:
    """Lock an open file for this process; False if another holder of it lives.

    Raises:
        OSError: the file system has no locks (`CANNOT_LOCK`), or something else is wrong.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
