"""An object store in memory that fails on demand: for what only its failures show."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from checkpoint.storage.objects.store import Stored


class MemoryStore:
    """Objects in a dict.

    Args:
        objects: shared by all stores of one bucket.
        now_ms: the server's clock.
    """

    def __init__(
        self, objects: dict[str, tuple[bytes, int]] | None = None, now_ms: Callable[[], int] = lambda: 0
    ) -> None:
        self.objects = {} if objects is None else objects
        self.before: Callable[[str, str], None] = lambda action, key: None
        self._now_ms = now_ms
        self._lock = threading.Lock()

    @property
    def location(self) -> str:
        return "memory:"

    def create(self, key: str, data: bytes) -> bool:
        self.before("create", key)
        return self.objects.setdefault(key, (data, self._now_ms()))[0] is data

    def put(self, key: str, data: bytes) -> None:
        self.before("put", key)
        self.objects[key] = (data, self._now_ms())

    def get(self, key: str) -> bytes | None:
        self.before("get", key)
        found = self.objects.get(key)
        return None if found is None else found[0]

    def stat(self, key: str) -> Stored | None:
        self.before("stat", key)
        found = self.objects.get(key)
        return None if found is None else Stored(len(found[0]), str(id(found)), self._now_ms() - found[1])

    def list(self, prefix: str) -> Iterator[str]:
        self.before("list", prefix)
        yield from sorted(key for key in self.objects.copy() if key.startswith(prefix))

    def delete(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self.before("delete", key)
            self.objects.pop(key, None)

    def close(self) -> None:
        """Nothing is open."""
