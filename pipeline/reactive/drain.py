"""The drain loop: whatever threads ask for work, one does it, one turn at a time, without recursion."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Drain:
    """Runs a function for whoever calls, and once more for whoever called meanwhile.

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
