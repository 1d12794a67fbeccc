"""Requests from within records, as deep as there are records, through every operator."""

from __future__ import annotations

import os
from typing import Any

import pytest

from pipeline.reactive import Flux, FluxSink, create, from_iterable, generate, on_backpressure_buffer
from tests.conformance.reactive.cases import OPERATORS

SOAKED = "PIPELINE_SIMULATIONS" in os.environ
DEPTH = 1_000_000 if SOAKED else 20_000
"""Many times the frames that a thread may have; a soak goes deeper."""


class OneByOne:
    """Asks for the next record from within each one, and counts how deep it is."""

    def __init__(self) -> None:
        self.heard = self.depth = self.deepest = 0
        self.error: Exception | None = None
        self.completed = False

    def on_subscribe(self, subscription: Any) -> None:
        self.subscription = subscription
        subscription.request(1)

    def on_next(self, _: Any) -> None:
        self.heard += 1
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        self.subscription.request(1)
        self.depth -= 1

    def on_error(self, error: Exception) -> None:
        self.error = error

    def on_completed(self) -> None:
        self.completed = True


def see_all(flux: Flux[Any]) -> None:
    subscriber = OneByOne()
    flux.subscribe(subscriber)
    assert subscriber.error is None
    assert (subscriber.heard, subscriber.deepest, subscriber.completed) == (DEPTH, 1, True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [name for name, case in OPERATORS.items() if not case.absorbs])
def test_through_an_operator(name: str) -> None:
    see_all(OPERATORS[name].make()(from_iterable(range(1, DEPTH + 1))))


def test_through_a_buffer_that_has_them_all() -> None:
    """The others that ask for everything would drop what is not wanted yet."""
    see_all(from_iterable(range(1, DEPTH + 1)).pipe(on_backpressure_buffer()))


def test_of_a_generator() -> None:
    def generator(number: int, sink: Any) -> int:
        sink.next(number)
        if number == DEPTH:
            sink.complete()
        return number + 1

    see_all(generate(lambda: 1, generator))


def test_of_a_sink_that_is_notified_of_each_request() -> None:
    def emitter(sink: FluxSink[int]) -> None:
        left = iter(range(DEPTH))

        def emit(n: int) -> None:
            for _ in range(n):
                if (number := next(left, None)) is None:
                    sink.complete()
                    return
                sink.next(number)

        sink.on_request(emit)

    see_all(create(emitter))
