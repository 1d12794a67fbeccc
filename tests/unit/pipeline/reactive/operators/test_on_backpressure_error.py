"""on_backpressure_error: the first record that nobody wants now ends the stream."""

from __future__ import annotations

import pytest

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import from_iterable, on_backpressure_error
from pipeline.testing import AssertSubscriber, TestPublisher
from tests.unit.pipeline.reactive.conftest import Lost


def test_what_is_wanted_passes() -> None:
    subscriber = AssertSubscriber[int](3)
    from_iterable([1, 2, 3]).pipe(on_backpressure_error()).subscribe(subscriber)
    subscriber.assert_values(1, 2, 3).assert_complete()


def test_the_first_too_many_ends_it_and_cancels(lost: Lost) -> None:
    """The error says that another try may succeed: this is how a job with an ERROR edge restarts."""
    publisher = TestPublisher[int]()
    subscriber = AssertSubscriber[int](2)
    publisher.pipe(on_backpressure_error()).subscribe(subscriber)
    publisher.next(1, 2, 3)
    subscriber.assert_values(1, 2).assert_error(BackpressureOverflow, "not asked for")
    error = subscriber.errors[0]
    assert isinstance(error, BackpressureOverflow)
    assert error.retryable
    publisher.assert_cancelled(1)
    assert lost.discarded == [3]


@pytest.mark.parametrize("wanted", [0, 2])
def test_of_a_batch_the_wanted_ones_are_delivered_first(wanted: int, lost: Lost) -> None:
    subscriber = AssertSubscriber[int](wanted)
    from_iterable(range(4), batch_size=4).pipe(on_backpressure_error()).subscribe(subscriber)
    subscriber.assert_values(*range(wanted)).assert_error(BackpressureOverflow)
    assert lost.discarded == list(range(wanted, 4))
