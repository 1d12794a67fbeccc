"""Open the parts of an attempt in order, end its threads, close everything in reverse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

from pipeline.core.clock import Clock
from pipeline.core.durations import whole_ms
from pipeline.core.job import JobStatus
from pipeline.operators.timers import TIMER_STATES
from pipeline.runtime.events import ThreadAbandoned
from pipeline.runtime.status import StatusTracker
from pipeline.runtime.wiring import Wired

THREAD_GRACE: Final = timedelta(seconds=5)
"""How long a thread may take to stop before it is reported and left behind."""


class Lifecycle:
    """Opens source, operators, sink; closes in reverse, whatever failed.

    Args:
        wired: the parts.
        tracker: is notified when a part of INITIALIZING begins; its listener, of threads that do not stop.
    """

    def __init__(self, wired: Wired, tracker: StatusTracker, clock: Clock) -> None:
        self._wired = wired
        self._tracker = tracker
        self._clock = clock

    def open(self) -> None:
        """Open everything; what fails is raised, and `close` closes what was opened."""
        self._tracker.change(JobStatus.INITIALIZING, "INIT_SOURCE")
        for source in self._wired.sources:
            source.open()
        self._tracker.change(JobStatus.INITIALIZING, "INIT_OPERATOR")
        for operator in self._wired.operators:
            operator.open()
        self._tracker.change(JobStatus.INITIALIZING, "INIT_SINK")
        for sink in self._wired.sinks:
            sink.open()

    def interrupt(self) -> None:
        """End what connectors wait for, threads or none; any thread."""
        for subtask in self._wired.subtasks:
            subtask.cancel()

    def end_threads(self) -> None:
        """Cancel what still runs and join it; a thread that does not stop in time is left behind."""
        self.interrupt()
        deadline = self._clock.monotonic_ms() + whole_ms(THREAD_GRACE)
        for subtask in self._wired.subtasks:
            if not subtask.join(self._left(deadline)):
                self._tracker.listener(ThreadAbandoned(subtask.producer.thread_name))
        parts = self._wired.parts
        parts.stop()
        if not parts.join(self._left(deadline)):
            self._tracker.listener(ThreadAbandoned(parts.name))

    def _left(self, deadline: int) -> timedelta:
        return timedelta(milliseconds=max(0, deadline - self._clock.monotonic_ms()))

    def final_state(self) -> dict[str, dict[Any, Any]]:
        """Read the keyed state of all operators, by uid and key; once the threads have ended."""
        state: dict[str, dict[Any, Any]] = {}
        for operator in self._wired.operators:
            if operator.backend is not None:
                entries = state.setdefault(operator.uid, {})
                for name in operator.backend.names():
                    if name not in TIMER_STATES:
                        entries.update(operator.backend.entries(name))
        return state

    def close(self, undecided_from: int, cause: BaseException | None) -> None:
        """Close everything; what fails here never hides `cause`, and is raised only without one.

        Args:
            undecided_from: the lowest checkpoint id that surely has no manifest.
        """
        failures = [error for step in self._closing(undecided_from) if (error := _failure_of(step))]
        if cause is None and failures:
            raise failures[0]
        for failure in failures:
            assert cause is not None
            cause.add_note(f"while closing: {failure}")

    def _closing(self, undecided_from: int) -> Iterator[Callable[[], None]]:
        for sink in reversed(self._wired.sinks):
            yield lambda sink=sink: sink.close(undecided_from)
        for operator in reversed(self._wired.operators):
            yield operator.close
        for source in reversed(self._wired.sources):
            yield source.close


def _failure_of(step: Callable[[], None]) -> Exception | None:
    try:
        step()
    except Exception as error:  # noqa: BLE001 - everything must be closed, whatever failed before
        return error
    return None
