"""A snapshot as bytes, for tests that store, compare and damage it."""

from __future__ import annotations

import io

from state.backend import KeyedStateBackend


def snapshot_of(backend: KeyedStateBackend) -> bytes:
    """What a checkpoint taken now stores."""
    part = io.BytesIO()
    snapshot = backend.snapshot()
    snapshot.write(part)
    snapshot.release()
    return part.getvalue()
