"""The threads that carry chunks of parts to the store while records flow."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from pipeline.core.raised import as_exception

_THREADS: Final = 2
"""One waits for the store's answer while the other sends."""

_JOIN_S: Final = 5


_Request = tuple[Future[None], Callable[[], None]]


class Uploads:
    """Runs requests in order of arrival on a few threads, which start with the first request.

    Args:
        name: of the threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, request: Callable[[], None]) -> Future[None]:
        """Run a request soon; cancelled if the threads end before its turn. Any thread."""
        future: Future[None] = Future()
        with self._lock:
            if self._closed:
                future.cancel()
                return future
            if len(self._threads) < _THREADS:
                name = f"{self._name}-{len(self._threads)}"
                thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()
            self._requests.put((future, request))
        return future

    def close(self) -> None:
        """Cancel what is queued and end the threads; one whose request takes seconds is abandoned."""
        with self._lock:
            self._closed = True
            for _ in self._threads:
                self._requests.put(None)
        until = time.monotonic() + _JOIN_S
        for thread in self._threads:
            thread.join(max(0, until - time.monotonic()))

    def _run(self) -> None:
        while (entry := self._requests.get()) is not None:
            future, request = entry
            if self._closed:
                future.cancel()
            elif future.set_running_or_notify_cancel():
                try:
                    request()
                except BaseException as error:  # noqa: BLE001 - raised where the future is asked
                    future.set_exception(as_exception(error))
                else:
                    future.set_result(None)
