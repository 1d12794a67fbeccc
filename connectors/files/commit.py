"""Makes staged files visible: idempotent, by whichever process comes to it."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence, Set
from enum import Enum
from pathlib import Path

from connectors.files.errors import LASTING, file_error
from connectors.files.rights import copy_rights
from connectors.files.staging import StagedHandle, sync_folder
from pipeline.core.errors import SinkError
from pipeline.core.faults import faultpoint
from pipeline.spi.sink import CommitOutcome

_log = logging.getLogger(__name__)


class _Progress(Enum):
    """How far the commit of one file has come."""

    STAGED = "it waits under its staged name"
    DONE = "it has its final name"


def commit_files(
    handles: Sequence[StagedHandle], replaced: Sequence[str] = (), *, verify: bool
) -> CommitOutcome:
    """Remove the files that one epoch replaces, and rename its own into place.

    A file is committed already if its staged name is gone and the final one has its bytes: the
    final name alone proves nothing, since yesterday's report may bear it. If any file of the epoch
    is lost, none is renamed.

    Args:
        handles: the files.
        replaced: paths of files that were made by a run before this one.
        verify: read the staged bytes and compare their SHA-256, for files of an earlier process.

    Returns:
        `RETRY` for a fault that may pass.

    Raises:
        SinkError: a file is lost, or a folder's rights or path are wrong, or it cannot be made
            durable. Once that is fixed, the same commit can be repeated.
    """
    try:
        progress = [_progress(handle, verify=verify) for handle in handles]
        gone = [path for path in map(Path, replaced) if path.exists()]
        for path in gone:
            path.unlink(missing_ok=True)
        for handle, state in zip(handles, progress, strict=True):
            if state is _Progress.STAGED:
                staged, final = Path(handle["staged"]), Path(handle["final"])
                copy_rights(final, staged)
                staged.replace(final)
                faultpoint("P12")
    except OSError as error:
        if error.errno not in LASTING:
            _log.warning("a commit has to be tried again: %s", error)
            return CommitOutcome.RETRY
        raise file_error(SinkError, "commit", error.filename or "", error) from error
    _sync_folders({Path(handle["final"]).parent for handle in handles} | {path.parent for path in gone})
    done = not gone and all(state is _Progress.DONE for state in progress)
    return CommitOutcome.ALREADY_COMMITTED if done else CommitOutcome.COMMITTED


def _progress(handle: StagedHandle, *, verify: bool) -> _Progress:
    staged, final = Path(handle["staged"]), Path(handle["final"])
    try:
        size = staged.stat().st_size
    except FileNotFoundError:
        if _has_bytes_of(final, handle):
            return _Progress.DONE
        raise _lost(handle, "is gone") from None
    if size != handle["length"] or (verify and not _has_bytes_of(staged, handle)):
        raise _lost(handle, "does not hold what was written to it")
    return _Progress.STAGED


def _lost(handle: StagedHandle, found: str) -> SinkError:
    return SinkError(
        f"{handle['final']} cannot be written: {handle['staged']}, which was to become it, {found}",
        retryable=False,
        hint="find out who removed or changed it: put it back, or start the job over with --fresh",
    )


def _has_bytes_of(path: Path, handle: StagedHandle) -> bool:
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size != handle["length"]:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == handle["sha256"]
    except FileNotFoundError:
        return False


def _sync_folders(folders: Set[Path]) -> None:
    for folder in folders:
        try:
            sync_folder(folder)
        except OSError as error:
            raise file_error(SinkError, "make durable", folder, error) from error
