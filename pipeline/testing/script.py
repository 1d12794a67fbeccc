"""The steps of a `StepVerifier` and the subscriber that plays them, signal by signal."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from reactivex import Observable, abc
from reactivex.scheduler import VirtualTimeScheduler

from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.drain import Drain
from pipeline.reactive.subscriber import Subscription

INSTANT: Final = timedelta(microseconds=1)
"""Virtual time in which what is due now gets done."""


@dataclass(frozen=True)
class Next:
    """A record came."""

    value: Any

    def __str__(self) -> str:
        return f"on_next({self.value!r})"


@dataclass(frozen=True)
class Failed:
    """The stream ended with an error."""

    error: Exception

    def __str__(self) -> str:
        return f"on_error({self.error!r})"


@dataclass(frozen=True)
class Completed:
    """The stream completed."""

    def __str__(self) -> str:
        return "on_completed()"


Signal = Next | Failed | Completed


@dataclass(frozen=True)
class Expect:
    """A step that takes signals as they come.

    Args:
        description: what it is called in a failure.
        matches: whether a signal is the one expected; may raise AssertionError to say more.
        times: how many signals it takes; None for as many as match.
    """

    description: str
    matches: Callable[[Signal], bool]
    times: int | None = 1


@dataclass(frozen=True)
class Act:
    """A step that calls the subscription, in whichever thread has come so far."""

    description: str
    run: Callable[[Player], object]


@dataclass(frozen=True)
class Task:
    """A step that takes time or runs the test's code: always in the verifying thread."""

    description: str
    run: Callable[[Player], object]


Step = Expect | Act | Task


class Player:
    """Subscribes, compares the signals with the steps, and reports where they differ.

    Signals are matched in the thread that brings them, so that an endless publisher on the verifying
    thread can be asked for three records and be cancelled.
    """

    def __init__(
        self, steps: Sequence[Step], first_request: int, scheduler: VirtualTimeScheduler | None
    ) -> None:
        self._steps = deque(steps)
        self._first_request = first_request
        self._scheduler = scheduler
        self._subscription: Subscription | None = None
        self._disposable: abc.DisposableBase | None = None
        self._signals: deque[Signal] = deque()
        self._taken = 0
        self._heard = 0
        self._requested = 0
        self._failure: str | None = None
        self._changed = threading.Condition()
        self._play = Drain(self._turn)

    # --- the subscriber ------------------------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        self._subscription = subscription
        if self._first_request:
            self.request(self._first_request)

    def on_next(self, value: Any) -> None:
        self._heard += 1
        if self._subscription is not None and self._heard > self._requested:
            self._fail(f"expected production of at most {self._requested} records, found {self._heard}")
        self._hear(Next(value))

    def on_error(self, error: Exception) -> None:
        self._hear(Failed(error))

    def on_completed(self) -> None:
        self._hear(Completed())

    def _hear(self, signal: Signal) -> None:
        self._signals.append(signal)
        self._play()
        with self._changed:
            self._changed.notify_all()

    def _turn(self) -> None:
        while self._failure is None and self._steps and not isinstance(step := self._steps[0], Task):
            if isinstance(step, Act):
                self._steps.popleft()
                step.run(self)
            elif not self._signals or not self._match(step, self._signals[0]):
                return

    def _match(self, step: Expect, signal: Signal) -> bool:
        """Take one signal or end the step; False if they do not go together."""
        try:
            matches, why = step.matches(signal), ""
        except AssertionError as error:
            matches, why = False, f": {error}"
        if not matches and step.times is not None:
            self._fail(f"expected {step.description}, found {signal}{why}")
            return False
        if matches:
            self._signals.popleft()
            self._taken += 1
        if not matches or self._taken == step.times:
            self._steps.popleft()
            self._taken = 0
        return True

    # --- the steps ---------------------------------------------------------------------------------

    def request(self, n: int) -> None:
        """Ask for more."""
        self._requested = min(UNBOUNDED, self._requested + max(n, 0))
        if self._subscription is None:
            self._fail("a plain Observable knows no demand: nothing can be requested of it")
        else:
            self._subscription.request(n)

    def cancel(self) -> None:
        """Want nothing more."""
        if self._subscription is not None:
            self._subscription.cancel()
        elif self._disposable is not None:
            self._disposable.dispose()

    def expect_subscription(self) -> None:
        """Fail unless the publisher has handed over a subscription."""
        if self._subscription is None:
            self._fail("expected a subscription, found none")

    def await_time(self, duration: timedelta) -> None:
        """Let time pass, virtual if there is a scheduler."""
        if self._scheduler is not None:
            self._scheduler.advance_by(duration)
        else:
            with self._changed:
                self._changed.wait_for(lambda: self._failure is not None, duration.total_seconds())

    def expect_silence(self, duration: timedelta, what: str = "no event") -> None:
        """Let time pass and fail at the first signal."""
        if self._scheduler is not None:
            self._scheduler.advance_by(duration)
        else:
            with self._changed:
                self._changed.wait_for(lambda: self._signals, duration.total_seconds())
        if self._signals:
            self._fail(f"expected {what} for {duration}, found {self._signals[0]}")

    def expect_no_end(self, duration: timedelta) -> None:
        """Let time pass and fail if the stream ends in it; records may come."""
        self.await_time(duration)
        ended = [signal for signal in self._signals if not isinstance(signal, Next)]
        if ended:
            self._fail(f"expected no end for {duration}, found {ended[0]}")

    # --- the verifying thread --------------------------------------------------------------------------

    def play(self, publisher: Observable[Any], timeout: timedelta) -> None:
        """Subscribe and play all steps.

        Raises:
            AssertionError: one of them does not fit.
        """
        until = time.monotonic() + timeout.total_seconds()
        self._disposable = publisher.subscribe(self, scheduler=self._scheduler)  # pyright: ignore[reportArgumentType, reportUnknownMemberType]
        self._play()
        try:
            while self._failure is None and self._steps:
                step = self._steps[0]
                if isinstance(step, Task):
                    step.run(self)
                    self._steps.popleft()
                    self._play()
                elif not self._await_step(until):
                    self._fail(f"timed out after {timeout} waiting for {self._steps[0].description}")
        finally:
            self.cancel()
        assert self._failure is None, self._failure

    def _await_step(self, until: float) -> bool:
        if self._scheduler is not None:
            self._scheduler.advance_by(INSTANT)
        with self._changed:
            return self._changed.wait_for(
                lambda: self._failure is not None or not self._steps or isinstance(self._steps[0], Task),
                until - time.monotonic(),
            )

    def _fail(self, failure: str) -> None:
        self._failure = self._failure or failure
