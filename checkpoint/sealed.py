"""A JSON object that carries its own SHA-256: readable, and no flipped bit goes unnoticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, cast

from pipeline.core.errors import CheckpointCorrupted, InternalError

_SEAL: Final = "sha256"


def seal(body: Mapping[str, Any]) -> bytes:
    """Render `body` as indented JSON after the checksum of its canonical form.

    Raises:
        InternalError: a value is not plain JSON; the caller should have encoded it.
    """
    try:
        return _render({_SEAL: _checksum(body), **body})
    except (TypeError, ValueError) as error:
        raise InternalError(f"a checkpoint file may hold plain JSON only: {error}") from error


def unseal(data: bytes, path: str) -> dict[str, Any]:
    """Return what was given to `seal`.

    Args:
        path: where `data` was read, for the message.

    Raises:
        CheckpointCorrupted: not one byte may differ from what `seal` wrote.
    """
    try:
        read: object = json.loads(data)
    except ValueError as error:
        raise CheckpointCorrupted(f"{path} is corrupt: no readable JSON: {error}") from error
    if not isinstance(read, dict):
        raise CheckpointCorrupted(f"{path} is corrupt: expected a JSON object, found {type(read).__name__}")
    body = cast("dict[str, Any]", read)
    expected = body.pop(_SEAL, None)
    found = _checksum(body)
    if expected != found:
        raise CheckpointCorrupted(f"{path} is corrupt: its SHA-256 is {found}, it says {expected}")
    if _render({_SEAL: found, **body}) != data:  # a difference that JSON does not see, as \u00E9 for \u00e9
        raise CheckpointCorrupted(f"{path} is corrupt: it is not as it was written")
    return body


def _checksum(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _render(sealed: Mapping[str, Any]) -> bytes:
    return json.dumps(sealed, indent=2, allow_nan=False).encode() + b"\n"
