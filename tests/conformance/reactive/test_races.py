"""Every operator when its subscriber leaves in another thread, at the moment of a signal, or raises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import pytest

from pipeline.reactive import from_iterable
from pipeline.reactive.hooks import Hooks, listening
from pipeline.testing import AssertSubscriber, TestPublisher, Violation
from pipeline.testing.assert_subscriber import AssertBatchSubscriber
from tests.conformance.reactive.cases import OPERATORS, OTHERS
from tests.racing import race

ROUNDS = 25
"""How often a race is run: each finds a fault with some chance."""

SIGNALS: dict[str, Callable[[TestPublisher[int]], object]] = {
    "on_next": lambda publisher: publisher.next(2).next(3),
    "on_next_batch": lambda publisher: publisher.next_batch([2, 3]),
    "on_error": lambda publisher: publisher.error(RuntimeError("of the test")),
    "on_completed": lambda publisher: publisher.complete(),
}


@pytest.fixture(params=OPERATORS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def reported() -> Iterator[list[Any]]:
    """Collect what is dropped or discarded: records, and what an operator made of several."""
    values: list[Any] = []

    def report(value: Any) -> None:
        values.extend(value if isinstance(value, (list, tuple)) else [value])

    with listening(Hooks(report, lambda _: None, report)):
        yield values


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_cancel_may_race_any_signal(name: str, signal: str, reported: list[Any]) -> None:
    """No error, no deadlock, one end at most, and no record is lost unseen."""
    for _ in range(ROUNDS):
        reported.clear()
        publisher = TestPublisher[int](Violation.DEFER_CANCELLATION)
        subscriber = AssertBatchSubscriber[int](10)
        OPERATORS[name].make()(publisher).connect(subscriber)
        publisher.next(1)
        race(partial(SIGNALS[signal], publisher), subscriber.cancel)
        subscriber.assert_protocol()
        emitted = {1, 2, 3} if signal.startswith("on_next") else {1}
        handed = {*subscriber.values, *chain.from_iterable(subscriber.batches)}
        assert handed | {value for value in reported if value < OTHERS} == emitted


def test_a_cancel_may_race_a_request(name: str) -> None:
    """Whichever comes first, the cancel reaches upstream."""
    for _ in range(ROUNDS):
        publisher = TestPublisher[int]()
        subscriber = AssertSubscriber[int](0)
        OPERATORS[name].make()(publisher).subscribe(subscriber)
        race(partial(subscriber.request, 5), subscriber.cancel)
        subscriber.assert_protocol()
        publisher.assert_cancelled()


def test_what_a_subscriber_raises_comes_back_to_it(name: str) -> None:
    """Rule 2.13: its subscription is cancelled, it gets its own error once, and nothing else."""

    def refuse(_: Any, value: int) -> None:
        raise OverflowError(f"refused {value}")

    subscriber = AssertSubscriber[int](10, refuse)
    OPERATORS[name].make()(from_iterable(range(1, 6))).subscribe(subscriber)
    subscriber.assert_values(1).assert_error(OverflowError, "refused 1").assert_protocol()
