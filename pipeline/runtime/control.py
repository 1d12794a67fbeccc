"""The handle by which others stop a running job and look at it."""

from __future__ import annotations

import queue
from collections.abc import Callable
from dataclasses import dataclass

from pipeline.core.job import JobStatus
from pipeline.runtime.events import StopRequested, TaskEvent
from pipeline.runtime.result import Progress
from pipeline.runtime.statistics import AttemptStatistics


@dataclass(frozen=True, slots=True)
class Letter:
    """An event and the attempt it concerns; None concerns whichever runs. One without an event only wakes."""

    event: TaskEvent | None
    attempt: Mailbox | None = None


class Mailbox:
    """The events of one attempt: what a thread of an earlier attempt still says is not for it.

    Args:
        letters: the queue that all attempts of a run and its control share.
    """

    def __init__(self, letters: queue.SimpleQueue[Letter]) -> None:
        self._letters = letters

    def post(self, event: TaskEvent) -> None:
        """Put in an event of this attempt; any thread."""
        self._letters.put(Letter(event, self))

    def wake(self) -> None:
        """Let a `get` that waits return early; any thread."""
        self._letters.put(Letter(None))

    def get(self, timeout: float | None) -> TaskEvent | None:
        """Take the next event; None if none came within `timeout` seconds, or early."""
        try:
            letter = self._letters.get(timeout=timeout)
        except queue.Empty:
            return None
        return letter.event if letter.attempt in (None, self) else None


class JobControl:
    """Stops a job from another thread or a signal handler; pass it to `job.execute(control=…)`.

    `stop` and `abort` are safe in a signal handler and before the job has started: they only put an event
    into a queue whose `put` is re-entrant.

    Example:
        >>> control = JobControl()
        >>> threading.Timer(10, control.stop).start()  # doctest: +SKIP
        >>> job.execute(control=control).status  # doctest: +SKIP
        <JobStatus.CANCELLED: 'CANCELLED'>
    """

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[Letter] = queue.SimpleQueue()
        self._look: Callable[[], Progress] | None = None
        self._ask: Callable[[], AttemptStatistics | None] | None = None

    def stop(self) -> None:
        """Stop reading, take a last checkpoint, commit it, and end the run."""
        self.queue.put(Letter(StopRequested(at_once=False)))

    def abort(self) -> None:
        """End the run now; the next one continues from the last complete checkpoint."""
        self.queue.put(Letter(StopRequested(at_once=True)))

    def progress(self) -> Progress:
        """Return the progress of the job; any thread, any time.

        Returns:
            Counters, channels, event time and the status.
        """
        return Progress(JobStatus.SCHEDULED) if self._look is None else self._look()

    def statistics(self) -> AttemptStatistics | None:
        """Look at each part of the job; any thread, any time.

        Returns:
            Its subtasks, their inputs and its checkpoints; None before the first attempt.
        """
        return None if self._ask is None else self._ask()

    def __repr__(self) -> str:
        return f"<JobControl: {self.progress().status}>"

    def watch(
        self, look: Callable[[], Progress], ask: Callable[[], AttemptStatistics | None] | None = None
    ) -> None:
        """Say where progress and statistics are read; for the runtime."""
        self._look, self._ask = look, ask
