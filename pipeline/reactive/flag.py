"""A boolean that several threads may set, of which one learns that it was the first."""

from __future__ import annotations

import threading


class Flag:
    """Unset at first; setting it and finding out whether it was set are one step.

    Example:
        >>> flag = Flag()
        >>> flag.set(), flag.set()
        (True, False)
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held while it is set: Python's only atomic test-and-set

    def set(self) -> bool:
        """Set it; return whether it was unset."""
        return self._lock.acquire(blocking=False)

    def clear(self) -> None:
        """Unset it; only while it is set."""
        self._lock.release()
