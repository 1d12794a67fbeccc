"""Who may read and write a file that replaces another: those who could with the previous one."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_ACCESS_LIST: Final = "system.posix_acl_access"
"""Where Linux keeps a file's access control list."""


def copy_rights(replaced: Path, to: int | Path) -> None:
    """Give a file the mode of another, and its owner, group and access list as far as the process may.

    Args:
        replaced: whose rights are kept; if there is no such file, nothing happens.
        to: the file that takes its place, by descriptor or path.

    Raises:
        OSError: the mode cannot be set.
    """
    try:
        old = replaced.stat()
    except FileNotFoundError:
        return
    new = os.stat(to)  # noqa: PTH116 - perhaps a descriptor
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        with suppress(PermissionError):  # a group is given by its members, an owner by root only
            os.chown(to, -1, old.st_gid)
            os.chown(to, old.st_uid, -1)
    os.chmod(to, stat.S_IMODE(old.st_mode))  # noqa: PTH101 - perhaps a descriptor
    if hasattr(os, "getxattr"):
        with suppress(OSError):  # there is none, or the file system has none
            os.setxattr(to, _ACCESS_LIST, os.getxattr(replaced, _ACCESS_LIST))
