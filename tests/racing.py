"""Threads that race on purpose, switched as often as Python can."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

LONG: Final = 30.0
"""Seconds; for what must end by itself: reached only if it does not."""


@contextmanager
def switching_often() -> Generator[None]:
    """Let threads be switched a million times a second, so that races show."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def race(*runs: Callable[[], Any]) -> None:
    """Run all at once, each in a thread, to the end; an error of any is raised."""
    ready = threading.Barrier(len(runs))
    errors: list[BaseException] = []

    def main(run: Callable[[], Any]) -> None:
        try:
            ready.wait(LONG)
            run()
        except BaseException as error:  # raised again below
            errors.append(error)

    threads = [threading.Thread(target=main, args=(run,), name="racing", daemon=True) for run in runs]
    with switching_often():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LONG)
    assert not any(thread.is_alive() for thread in threads), "a deadlock"
    for error in errors:
        raise error
