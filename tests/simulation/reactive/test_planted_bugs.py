"""The schedules find what they are for: each fault, planted in an operator, breaks one of them."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from reactivex import Observable

from pipeline.reactive import Flux, hooks
from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.emission import Emission
from pipeline.reactive.operators.base import Operator, lift

from .world import Kind, live, schedule

MOST_SEEDS = 2_000


class Same(Operator[Any, Any]):
    def on_next(self, value: Any) -> None:
        self._downstream.on_next(value)


class GoesOnAfterTheEnd(Same):
    """Its guard is gone: who has left still gets what comes."""

    def _end(self) -> Any:
        return self._downstream


class LosesRecordsOfBatches(Same):
    def on_next_batch(self, values: Any) -> None:
        super().on_next_batch(values[:5])


class AsksForTooMuch(Same):
    def request(self, n: int) -> None:
        super().request(n + 1 if n == 3 else n)


class ForgetsSmallRequests(Same):
    def request(self, n: int) -> None:
        if n != 1:
            super().request(n)


class Queue(Emission[Any]):
    """A correct queue of two records between a source and a consumer, to plant faults in."""

    bound = 2

    def __init__(self, downstream: Any) -> None:
        super().__init__(downstream)
        self.upstream: Any = None
        self.queue: deque[Any] = deque()
        self.completed = False
        self.error: Exception | None = None

    def on_subscribe(self, subscription: Any) -> None:
        self.upstream = subscription
        self._downstream.on_subscribe(self)
        subscription.request(self.bound)

    def on_next(self, value: Any) -> None:
        self.queue.append(value)
        self._drain()

    def on_next_batch(self, values: Any) -> None:
        self.queue.extend(values)
        self._drain()

    def on_error(self, error: Exception) -> None:
        self.completed, self.error = True, error
        self._drain()

    def on_completed(self) -> None:
        self.completed = True
        self._drain()

    def _emit(self, downstream: Any) -> None:
        while not self.done and self.queue and self._demand.left:
            self._demand.produced()
            downstream.on_next(self.queue.popleft())
            self.upstream.request(1)
        if self.completed and not self.queue and not self.done:
            end = self._end()
            if self.error is None:
                end.on_completed()
            else:
                end.on_error(self.error)

    def _clear(self) -> None:
        self.discard(*self.queue)
        self.queue.clear()

    def discard(self, *values: Any) -> None:
        hooks.discarded(*values)

    def _cancelled(self) -> None:
        self.upstream.cancel()


class PrefetchesMore(Queue):
    def on_subscribe(self, subscription: Any) -> None:
        super().on_subscribe(subscription)
        subscription.request(1)


class LosesSilently(Queue):
    def discard(self, *values: Any) -> None: ...


class GivesTheNewestFirst(Queue):
    def on_next_batch(self, values: Any) -> None:
        super().on_next_batch(list(values)[::-1])


class EndsBeforeItIsEmpty(Queue):
    def on_completed(self) -> None:
        self._end().on_completed()


class NeverEnds(Queue):
    def on_completed(self) -> None: ...


class ForgetsToAskAgain(Queue):
    def _emit(self, downstream: Any) -> None:
        asked = self.upstream
        self.upstream = type("Silent", (), {"request": lambda _, n: None, "cancel": asked.cancel})()
        try:
            super()._emit(downstream)
        finally:
            self.upstream = asked


class Recurses(Queue):
    def request(self, n: int) -> None:
        if not self.done:
            self._demand.request(n)
            self._turn()


class GivesTwice(Queue):
    def on_next_batch(self, values: Any) -> None:
        self.queue.extend(values)
        if len(values) == 2:
            self.queue.append(values[1])
        self._drain()


class AsksForAll(Queue):
    def on_subscribe(self, subscription: Any) -> None:
        super().on_subscribe(subscription)
        subscription.request(UNBOUNDED)


def kind(operator: Callable[[Any], Any]) -> Kind:
    def make(_: Any) -> Callable[[Observable[Any]], Flux[Any]]:
        return lift("planted", operator)

    return Kind(make, holds=Queue.bound if issubclass(operator, Queue) else 0)  # pyright: ignore[reportArgumentType]


def seed_that_fails(operator: Callable[[Any], Any]) -> int | None:
    for seed in range(MOST_SEEDS):
        try:
            live(kind(operator), schedule(random.Random(seed)))
        except Exception:
            return seed
    return None


@pytest.mark.parametrize("sound", [Same, Queue])
def test_sound_operators_live_through_all_schedules(sound: Callable[[Any], Any]) -> None:
    """Or what is found in the others would prove nothing."""
    assert seed_that_fails(sound) is None


@pytest.mark.parametrize(
    "broken",
    [
        GoesOnAfterTheEnd,
        LosesRecordsOfBatches,
        AsksForTooMuch,
        ForgetsSmallRequests,
        PrefetchesMore,
        LosesSilently,
        GivesTheNewestFirst,
        EndsBeforeItIsEmpty,
        NeverEnds,
        ForgetsToAskAgain,
        Recurses,
        GivesTwice,
        AsksForAll,
    ],
)
def test_a_planted_bug_is_found(broken: Callable[[Any], Any]) -> None:
    assert seed_that_fails(broken) is not None
