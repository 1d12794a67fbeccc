"""A thread with a name to run streams in, as a scheduler."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from datetime import datetime, timedelta
from itertools import count
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from reactivex import abc, typing
from reactivex.disposable import Disposable
from reactivex.internal.exceptions import DisposedException
from reactivex.scheduler.periodicscheduler import PeriodicScheduler
from reactivex.scheduler.scheduleditem import ScheduledItem

from pipeline.core.errors import InternalError
from pipeline.reactive import hooks

S = TypeVar("S")

STOP_TIMEOUT: Final = timedelta(seconds=5)
"""How long a thread may take to end once it has been told to."""


class Worker(PeriodicScheduler):
    """Runs what is scheduled in one thread, one piece after the other, until the end of a `with` block.

    What has not begun by then is not run, and what is scheduled later is refused. EventLoopScheduler does
    the same without an owner for its thread, and may miss that it was disposed.

    Args:
        name: of the thread.

    Example:
        >>> with Worker("prices") as scheduler:
        ...     flux.pipe(publish_on(scheduler)).subscribe(subscriber)  # doctest: +SKIP
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._condition = threading.Condition(threading.Lock())
        self._ready: deque[ScheduledItem] = deque()
        self._timed: list[tuple[datetime, int, ScheduledItem]] = []
        self._order = count()
        self._open = True
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._condition:
            self._open = False
            self._condition.notify_all()
        self._thread.join(STOP_TIMEOUT.total_seconds())
        if self._thread.is_alive() and error is None:
            seconds = STOP_TIMEOUT.total_seconds()
            raise InternalError(f"thread {self._thread.name} did not end within {seconds:g} s")

    # --- a scheduler: any thread ----------------------------------------------------------------------

    def schedule(self, action: typing.ScheduledAction[S], state: S | None = None) -> abc.DisposableBase:
        """Run `action` as soon as what was scheduled before has run.

        Raises:
            DisposedException: the block has ended.
        """
        return self._enqueue(action, state, None)

    def schedule_relative(
        self, duetime: typing.RelativeTime, action: typing.ScheduledAction[S], state: S | None = None
    ) -> abc.DisposableBase:
        """Run `action` after `duetime`.

        Raises:
            DisposedException: the block has ended.
        """
        return self.schedule_absolute(self.now + self.to_timedelta(duetime), action, state)

    def schedule_absolute(
        self, duetime: typing.AbsoluteTime, action: typing.ScheduledAction[S], state: S | None = None
    ) -> abc.DisposableBase:
        """Run `action` at `duetime`, or now if that is past.

        Raises:
            DisposedException: the block has ended.
        """
        due = self.to_datetime(duetime)
        return self._enqueue(action, state, due if due > self.now else None)

    def _enqueue(self, action: Any, state: Any, due: datetime | None) -> abc.DisposableBase:
        item = ScheduledItem(self, state, action, due or self.now)
        with self._condition:
            if not self._open:
                raise DisposedException
            if due is None:
                self._ready.append(item)
            else:
                heapq.heappush(self._timed, (due, next(self._order), item))
            self._condition.notify()
        return Disposable(item.cancel)

    # --- its thread -----------------------------------------------------------------------------------

    def _main(self) -> None:
        while (item := self._next()) is not None:
            if not item.is_cancelled():
                try:
                    item.invoke()
                except Exception as error:  # noqa: BLE001 - other scheduled work is not affected
                    hooks.dropped_error(error)

    def _next(self) -> ScheduledItem | None:
        """Wait for what is to run next; None at the end of the block."""
        with self._condition:
            while self._open:
                wait = (self._timed[0][0] - self.now).total_seconds() if self._timed else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._timed)[2]
                if self._ready:
                    return self._ready.popleft()
                self._condition.wait(wait)
        return None
