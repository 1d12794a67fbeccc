"""Reacts to a stop while the job's own thread waits for what its connectors wait for."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from types import TracebackType
from typing import Self

from pipeline.core.clock import Clock
from pipeline.runtime.control import Mailbox
from pipeline.runtime.events import StopRequested, TaskEvent


class StopWatch:
    """Reads the mailbox while the `with` block lasts; afterwards what it heard is in there again.

    Args:
        mailbox: of the attempt.
        interrupt: ends the waits of all connectors; called on this watch's thread.
        patience_ms: how long a stop that is not to be at once may wait for the job's thread.
    """

    def __init__(
        self, mailbox: Mailbox, interrupt: Callable[[], None], patience_ms: int, clock: Clock
    ) -> None:
        self._mailbox = mailbox
        self._interrupt = interrupt
        self._patience_ms = patience_ms
        self._clock = clock
        self._heard: list[TaskEvent] = []
        self._over = False
        self._thread = Thread(target=self._listen, name="stop-watch")
        self.interrupted = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._mailbox.wake()
        self._thread.join()
        for event in self._heard:
            self._mailbox.post(event)

    def _listen(self) -> None:
        until: int | None = None
        while not self._over:
            left = None if until is None else max(0, until - self._clock.monotonic_ms()) / 1000
            event = self._mailbox.get(left)
            if event is not None:
                self._heard.append(event)
            if isinstance(event, StopRequested) and not event.at_once and until is None:
                until = self._clock.monotonic_ms() + self._patience_ms
            late = until is not None and self._clock.monotonic_ms() >= until
            if late or (isinstance(event, StopRequested) and event.at_once):
                self.interrupted = True
                self._interrupt()
                return
