"""The form of an epoch log: what a sink got in one epoch, so that it can be written to the target again.

    header   `pipeline epoch log 1` and a line end
    frame    length and CRC-32 of the payload, 4 bytes each, little-endian; the payload
    ...

The engine knows frames only; the content of a payload is up to the sink. That a log is whole is
known by its length and SHA-256, which are in the manifest beside its name.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from checkpoint.storage.base import PartReader
from pipeline.core.errors import CheckpointCorrupted, CheckpointError

HEADER: Final = b"pipeline epoch log 1\n"
_NAME: Final = HEADER[:-2]
_FRAME: Final = struct.Struct("<II")


def frame(payload: bytes) -> bytes:
    """Return `payload` with its length and checksum in front."""
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def read_frames(log: PartReader) -> Iterator[bytes]:
    """Yield the payloads of a log, one at a time: a log may be larger than memory.

    Raises:
        CheckpointCorrupted: it is not what was written.
        CheckpointError: another release wrote it, in a version this one does not read.
    """
    header = log.read(len(HEADER))
    if header != HEADER:
        raise _refusal(header, log.name)
    while prefix := log.read(_FRAME.size):
        if len(prefix) < _FRAME.size:
            raise CheckpointCorrupted(f"{log.name} is corrupt: it ends within a frame")
        length, checksum = _FRAME.unpack(prefix)
        payload = log.read(length)
        if len(payload) < length or zlib.crc32(payload) != checksum:
            raise CheckpointCorrupted(
                f"{log.name} is corrupt: expected a frame of {length} bytes with CRC-32 {checksum:08x}, "
                f"found {len(payload)} bytes with {zlib.crc32(payload):08x}"
            )
        yield payload


def _refusal(header: bytes, path: str) -> CheckpointError:
    if len(header) == len(HEADER) and header.startswith(_NAME):
        return CheckpointError(
            f"{path} has version {header[len(_NAME) :].strip().decode(errors='replace')} of the log format, "
            "this release reads version 1",
            retryable=False,
            hint="start the job with the release that wrote it, or a newer one",
        )
    return CheckpointCorrupted(f"{path} is not an epoch log: it begins with {header!r}")
