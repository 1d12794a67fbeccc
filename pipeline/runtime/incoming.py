"""The events of an attempt as its thread takes them, and the stops that end its waits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from pipeline.core.clock import Clock
from pipeline.core.errors import PipelineError
from pipeline.runtime.control import Mailbox
from pipeline.runtime.events import JobEvent, StopForced, StopRequested, TaskEvent
from pipeline.runtime.stop_watch import StopWatch


class Aborted(Exception):
    """Somebody asked the job to leave at once."""


class Incoming:
    """Reads the mailbox of an attempt; the job's thread only.

    Args:
        mailbox: where subtasks and control put their events.
        patience_ms: how long a stop may take before it is forced, `cancel_timeout`.
        clock: counts it.
        listener: is notified of a stop that is forced.

    Attributes:
        stop_requested: whether a stop was read, so that an attempt that fails is not followed by another.
    """

    def __init__(
        self, mailbox: Mailbox, patience_ms: int, clock: Clock, listener: Callable[[JobEvent], None]
    ) -> None:
        self._mailbox = mailbox
        self._patience_ms = patience_ms
        self._clock = clock
        self._listener = listener
        self._kept: deque[TaskEvent] = deque()
        self._stopping_until: int | None = None
        self.stop_requested = False

    def next(self, deadline: int | None) -> TaskEvent | None:
        """Take the next event; None once `deadline` (monotonic ms) has passed, or early.

        Raises:
            Aborted: a stop has taken longer than it may.
        """
        if self._kept:
            return self._kept.popleft()
        deadlines = [each for each in (deadline, self._stopping_until) if each is not None]
        timeout = max(0, min(deadlines) - self._now()) / 1000 if deadlines else None
        event = self._get(timeout)
        if event is None and self._stopping_until is not None and self._now() >= self._stopping_until:
            self._listener(StopForced(self._patience_ms))
            raise Aborted
        return event

    def expect_stop(self) -> None:
        """Count the time that a stop with a last checkpoint takes from now on."""
        self._stopping_until = self._now() + self._patience_ms

    def pause(self, milliseconds: int) -> None:
        """Wait, keeping events for later.

        Raises:
            Aborted: one asks to leave at once.
        """
        until = self._now() + milliseconds
        while (left := until - self._now()) > 0:
            event = self._get(left / 1000)
            if isinstance(event, StopRequested) and event.at_once:
                raise Aborted
            if event is not None:
                self._kept.append(event)

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Generator[None]:
        """Let a stop end what the job's thread waits for inside, by calling `interrupt`.

        Raises:
            Aborted: it did; in place of the error that it caused.
        """
        watch = StopWatch(self._mailbox, interrupt, self._patience_ms, self._clock)
        try:
            with watch:
                yield
        except PipelineError as error:
            if watch.interrupted:
                raise Aborted from error
            raise
        if watch.interrupted:
            raise Aborted

    def _get(self, timeout: float | None) -> TaskEvent | None:
        event = self._mailbox.get(timeout)
        self.stop_requested = self.stop_requested or isinstance(event, StopRequested)
        return event

    def _now(self) -> int:
        return self._clock.monotonic_ms()
