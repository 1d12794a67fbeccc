"""generate: one call of the generator for each record that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.reactive import generate
from pipeline.reactive.demand import UNBOUNDED
from pipeline.testing import AssertSubscriber
from tests.unit.pipeline.reactive.conftest import Lost


def count_to(last: int) -> Callable[[int, Any], int]:
    def count(number: int, sink: Any) -> int:
        sink.next(number)
        if number == last:
            sink.complete()
        return number + 1

    return count


def subscribed(
    generator: Callable[[Any, Any], Any], n: int = 0, on_state: Callable[[Any], object] | None = None
) -> AssertSubscriber[Any]:
    subscriber = AssertSubscriber[Any](n)
    generate(lambda: 1, generator, on_state).subscribe(subscriber)
    return subscriber


def test_it_is_called_once_for_each_record_that_is_wanted() -> None:
    calls: list[int] = []

    def count(number: int, sink: Any) -> int:
        calls.append(number)
        sink.next(number)
        return number + 1

    subscriber = subscribed(count)
    assert calls == []
    subscriber.request(2).request(1).assert_values(1, 2, 3)
    assert calls == [1, 2, 3]


def test_a_record_and_the_end_may_come_together() -> None:
    subscribed(count_to(3), 3).assert_values(1, 2, 3).assert_complete()


def test_an_error_ends_it_and_so_does_what_the_generator_raises() -> None:
    subscribed(lambda _, sink: sink.error(OSError("told")), 1).assert_error(OSError, "told")
    subscribed(lambda number, sink: 1 / 0, 1).assert_error(ZeroDivisionError)


@pytest.mark.parametrize(
    ("generator", "says"),
    [
        (lambda _, sink: None, "neither a record nor an end"),
        (lambda _, sink: (sink.next(1), sink.next(2)), "one record for each call"),
        (lambda _, sink: (sink.complete(), sink.next(2)), "before the end"),
    ],
)
def test_a_generator_keeps_to_one_record_a_call(generator: Any, says: str) -> None:
    subscribed(generator, 5).assert_no_values().assert_error(RuntimeError, says)


def test_null_is_refused() -> None:
    subscribed(lambda _, sink: sink.next(None), 1).assert_error(TypeError, "2.13")


def test_a_state_that_cannot_be_made_is_an_error() -> None:
    subscriber = AssertSubscriber[int](0)

    def broken() -> int:
        raise OSError("broken")

    generate(broken, count_to(3)).subscribe(subscriber)
    subscriber.assert_error(OSError, "broken")


@pytest.mark.parametrize("end", ["complete", "cancel", "error"])
def test_the_last_state_is_handed_back_at_any_end(end: str) -> None:
    states: list[int] = []
    subscriber = subscribed(count_to(3 if end == "complete" else 9), 3, states.append)
    if end == "cancel":
        subscriber.cancel()
    if end == "error":
        subscriber.request(0).assert_error(ValueError)
    assert states == [4]


def test_what_that_callback_raises_is_reported(lost: Lost) -> None:
    subscribed(count_to(1), 1, lambda state: 1 / 0).assert_values(1).assert_complete()
    assert [type(error) for error in lost.errors] == [ZeroDivisionError]


def test_a_cancel_in_on_next_stops_it() -> None:
    subscriber = AssertSubscriber[int](UNBOUNDED, lambda probe, value: value == 3 and probe.cancel())
    generate(lambda: 1, count_to(9)).subscribe(subscriber)
    subscriber.assert_values(1, 2, 3).assert_not_terminated()
