"""The signals of a run, acted on by a thread of their own, wherever the main thread is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Final, Self

_READ_BYTES: Final = 64
"""Signals that are read at once; each is one byte, its number."""


class SignalThread:
    """Calls `act` with the number of each signal that arrives while the `with` block lasts.

    Python runs a signal handler on the main thread, between two of its instructions. A signal that
    arrives when the main thread is about to wait, or while it is in a call of a library, does not end
    that wait, and the handler runs after it: for a job, when its next event comes, which may be in an
    hour. The byte that the interpreter writes to the wake-up descriptor is there at once.

    A signal that is ignored when the block begins stays ignored: SIGHUP under nohup, SIGINT of a job in
    the background of a shell. After the block signals have no effect.

    Args:
        act: called on this thread, for one signal after the other.
        numbers: the signals to act on.
        name: of the thread.
    """

    def __init__(self, act: Callable[[int], None], numbers: Iterable[int], name: str) -> None:
        self._act = act
        self._numbers = frozenset(numbers)
        self._thread = threading.Thread(target=self._listen, name=name, daemon=True)
        self._reader, self._writer = -1, -1

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        self._thread.start()
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in self._numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _leave_it_to_the_thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        os.close(self._writer)  # which ends the thread
        self._thread.join()
        os.close(self._reader)

    def _listen(self) -> None:
        while numbers := os.read(self._reader, _READ_BYTES):
            for number in numbers:
                if number in self._numbers:
                    self._act(number)


def _leave_it_to_the_thread(number: int, frame: FrameType | None) -> None:
    """Without a handler there would be no byte to read."""
