"""The publisher's side of a subscriber under test: a subscription that the suite watches."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Self

from pipeline.reactive.demand import add_cap


class Upstream:
    """A subscription that only writes down what it is called with.

    Attributes:
        requested: the sum of all requests.
        cancels: how often it was cancelled.
        forbidden: calls from within a signal that must not make any (2.3).
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ending_in = 0
        self.requested = 0
        self.cancels = 0
        self.forbidden: list[str] = []

    def request(self, n: int) -> None:
        with self._changed:
            self._look(f"request({n})")
            assert n > 0, f"rule 3.9: the subscriber asked for {n}"
            self.requested = add_cap(self.requested, n)
            self._changed.notify_all()

    def cancel(self) -> None:
        with self._changed:
            self._look("cancel()")
            self.cancels += 1
            self._changed.notify_all()

    @contextmanager
    def ending(self) -> Generator[None]:
        """While in the block, this thread must not call the subscription."""
        self._ending_in = threading.get_ident()
        try:
            yield
        finally:
            self._ending_in = 0

    def await_requested(self, n: int, timeout: timedelta) -> Self:
        """Wait until that many records have been requested in all."""
        with self._changed:
            come = self._changed.wait_for(lambda: self.requested >= n, timeout.total_seconds())
        assert come, f"rule 2.1: expected demand for {n}, found {self.requested}"
        return self

    def await_cancel(self, timeout: timedelta) -> Self:
        """Wait until it is cancelled."""
        with self._changed:
            come = self._changed.wait_for(lambda: self.cancels > 0, timeout.total_seconds())
        assert come, "expected a cancel"
        return self

    def _look(self, call: str) -> None:
        if self._ending_in == threading.get_ident():
            self.forbidden.append(call)
