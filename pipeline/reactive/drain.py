"""The drain loop: whatever threads ask for work, one does it, one turn at a time, without recursion."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from reactivex import abc


class Drain:
    """Runs a function for its caller, and once more for callers that arrived meanwhile.

    A call from within the function (`request` in `on_next`) and a call from another thread return at
    once: the one who runs it takes another turn. So signals come one at a time (rule 1.3), and demand
    of any depth needs no stack (rule 3.3).

    Args:
        turn: does all there is to do and returns; it looks at its state afresh each time.

    Example:
        >>> left = [3, 2, 1]
        >>> def turn():
        ...     if left:
        ...         print(left.pop())
        ...         drain()
        >>> drain = Drain(turn)
        >>> drain()
        1
        2
        3
    """

    __slots__ = ("_busy", "_missed", "_turn")

    def __init__(self, turn: Callable[[], None]) -> None:
        self._turn = turn
        self._busy = threading.Lock()
        self._missed = False

    def __call__(self) -> None:
        # Set before the attempt, looked at after the release: of two threads that meet here, one sees
        # the other's mark, so that no call is lost.
        self._missed = True
        while self._missed and self._busy.acquire(blocking=False):
            try:
                while self._missed:
                    self._missed = False
                    self._turn()
            finally:
                self._busy.release()


class ScheduledDrain(Drain):
    """A drain loop whose turns a scheduler runs, wherever that does; the caller never waits for one.

    Args:
        turn: as for `Drain`.
        scheduler: is called each time that there is work again.
        rejected: called in place of a turn if the scheduler refuses, such as one that is disposed.
    """

    __slots__ = ("_rejected", "_scheduler")

    def __init__(
        self,
        turn: Callable[[], None],
        scheduler: abc.SchedulerBase,
        rejected: Callable[[Exception], None],
    ) -> None:
        super().__init__(turn)
        self._scheduler = scheduler
        self._rejected = rejected

    def __call__(self) -> None:
        self._missed = True
        while self._missed and self._busy.acquire(blocking=False):
            try:
                self._scheduler.schedule(self._run)
            except Exception as error:  # noqa: BLE001 - the stream's end carries it
                self._missed = False
                try:
                    self._rejected(error)
                finally:
                    self._busy.release()
            else:
                return  # the one that runs it lets go

    def _run(self, _scheduler: Any, _state: Any = None) -> None:
        try:
            while self._missed:
                self._missed = False
                self._turn()
        finally:
            self._busy.release()
        if self._missed:
            self()
