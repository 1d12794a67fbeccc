"""A companion for `retry_when`: wait longer after each failure, and give up in the end."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from reactivex import Observable, abc

from pipeline.core.restart import RestartStrategy
from pipeline.reactive.flux import Flux
from pipeline.reactive.operators.base import Operator, lift
from pipeline.reactive.subscriber import Subscriber, Subscription


def backoff(
    strategy: RestartStrategy, scheduler: abc.SchedulerBase, rng: random.Random | None = None
) -> Callable[[Observable[Exception]], Flux[Exception]]:
    """Emit each error after the delay that `strategy` returns; end with the error at which it gives up.

    Args:
        strategy: such as `RestartStrategy.exponential(attempts=5)`, the same that restart jobs.
        scheduler: runs the new try, and its clock says how long the one before was healthy.
        rng: of the jitter.

    Example:
        >>> retry = retry_when(backoff(RestartStrategy.exponential(attempts=5), scheduler))  # doctest: +SKIP
    """
    return lift("backoff", lambda downstream: _Backoff(downstream, strategy, scheduler, rng))


class _Backoff(Operator[Exception, Exception]):
    def __init__(
        self,
        downstream: Subscriber[Exception],
        strategy: RestartStrategy,
        scheduler: abc.SchedulerBase,
        rng: random.Random | None,
    ) -> None:
        super().__init__(downstream)
        self._strategy = strategy
        self._decider = strategy.decider(rng)
        self._scheduler = scheduler
        self._healthy_since = scheduler.now
        self._timer: abc.DisposableBase | None = None

    def _subscribed(self, upstream: Subscription) -> None:
        self._healthy_since = self._scheduler.now

    def on_next(self, value: Exception, /) -> None:
        now = self._scheduler.now
        failed_at_ms = int(self._scheduler.to_seconds(now) * 1_000)
        delay_ms = self._decider.next_delay_ms(failed_at_ms, _milliseconds(now - self._healthy_since))
        if delay_ms is None:
            value.add_note(f"given up by retry_when ({self._strategy.describe()})")
            self._fail(value)
            return
        try:
            self._timer = self._scheduler.schedule_relative(
                timedelta(milliseconds=delay_ms), self._elapsed, value
            )
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            error.__cause__ = value
            self._fail(error)

    def _elapsed(self, _scheduler: Any, error: Exception | None) -> None:
        self._healthy_since = self._scheduler.now
        if error is not None:
            self._downstream.on_next(error)

    def cancel(self) -> None:
        super().cancel()
        if self._timer is not None:
            self._timer.dispose()


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
