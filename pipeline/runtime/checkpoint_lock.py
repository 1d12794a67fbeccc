"""The lock under which a source emits and moves its position, and the thread that lets barriers through."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Protocol

from checkpoint.barrier import Barrier
from pipeline.core.clock import Clock
from pipeline.reactive.producer import Interrupted


class BarrierHost(Protocol):
    """Who performs the barriers, and says after how many milliseconds it wants to be called anyhow."""

    def perform_if_settled(self) -> int | None: ...
    def fail(self, error: BaseException) -> None: ...


class LockScope:
    """`with ctx.checkpoint_lock:`; leaving it is where barriers pass.

    Args:
        lock: what is held inside.
        settle: called at the end, still holding it, unless what was done inside has failed.
    """

    def __init__(self, lock: threading.Lock, settle: Callable[[], None]) -> None:
        self._lock = lock
        self._settle = settle

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._settle()
        finally:
            self._lock.release()


class BarrierThread:
    """Performs barriers, and what time brings, for a source that waits for demand or for input."""

    def __init__(self, host: BarrierHost, name: str, clock: Clock) -> None:
        self._host = host
        self._clock = clock
        self._condition = threading.Condition()
        self._pending: Barrier | None = None
        self._fresh = False
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, barrier: Barrier) -> None:
        with self._condition:
            self._pending = barrier
            self._fresh = True
            self._condition.notify()

    def wake(self) -> None:
        """Have the host called soon, from the thread."""
        with self._condition:
            self._fresh = True
            self._condition.notify()

    @property
    def is_due(self) -> bool:
        """Whether a barrier waits; it is looked at after each batch."""
        return self._pending is not None

    def take(self) -> Barrier | None:
        """Take the due barrier, if there is one; the caller holds the checkpoint lock."""
        with self._condition:
            barrier, self._pending = self._pending, None
            return barrier

    def abandon(self, checkpoint_id: int) -> None:
        with self._condition:
            if self._pending is not None and self._pending.checkpoint_id == checkpoint_id:
                self._pending = None

    def stop(self) -> None:
        with self._condition:
            self._stopped = True
            self._condition.notify()

    def join(self, timeout: timedelta) -> bool:
        if self._thread.ident is None:
            return True
        self._thread.join(timeout.total_seconds())
        return not self._thread.is_alive()

    def _run(self) -> None:
        wait_ms: int | None = None
        while self._wait(wait_ms):
            try:
                wait_ms = self._host.perform_if_settled()
            except Interrupted:
                return
            except BaseException as error:  # noqa: BLE001 - reported as the subtask's own
                self._host.fail(error)
                return

    def _wait(self, wait_ms: int | None) -> bool:
        until = None if wait_ms is None else self._clock.monotonic_ms() + wait_ms
        with self._condition:
            while not (self._fresh or self._stopped):
                left = None if until is None else until - self._clock.monotonic_ms()
                if left is not None and left <= 0:
                    break
                self._clock.wait(self._condition, left)
            self._fresh = False
            return not self._stopped
