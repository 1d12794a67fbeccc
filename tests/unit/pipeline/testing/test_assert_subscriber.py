"""AssertSubscriber: records its signals and notices what must not come."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from pipeline.testing import AssertSubscriber
from tests.racing import race

BRIEF = timedelta(milliseconds=1)


class Quiet:
    """A subscription that does nothing."""

    def __init__(self) -> None:
        self.cancelled = False

    def request(self, n: int) -> None: ...

    def cancel(self) -> None:
        self.cancelled = True


def subscribed(n: int = 0) -> AssertSubscriber[int]:
    subscriber = AssertSubscriber[int](n)
    subscriber.on_subscribe(Quiet())
    return subscriber


def test_a_second_subscription_is_cancelled_and_told() -> None:
    subscriber, second = subscribed(), Quiet()
    subscriber.on_subscribe(second)
    assert second.cancelled
    with pytest.raises(AssertionError, match=r"2\.12"):
        subscriber.assert_protocol()


def test_too_many_records_are_told() -> None:
    subscriber = subscribed(1)
    subscriber.on_next(1)
    subscriber.assert_values(1)
    subscriber.on_next(2)
    with pytest.raises(AssertionError, match=r"1\.1"):
        subscriber.assert_value_count(2)


def test_requests_of_several_threads_all_count() -> None:
    subscriber, times = subscribed(), 2_000

    def ask() -> None:
        for _ in range(times):
            subscriber.request(1)

    race(ask, ask, ask)
    assert subscriber.requested == 3 * times


def test_signals_before_the_subscription_and_after_the_end_are_told() -> None:
    early = AssertSubscriber[int]()
    early.on_completed()
    with pytest.raises(AssertionError, match=r"1\.9"):
        early.assert_complete()
    late = subscribed(1)
    late.on_completed()
    late.on_next(1)
    with pytest.raises(AssertionError, match=r"1\.7"):
        late.assert_complete()


def test_signals_of_two_threads_at_once_are_told() -> None:
    def second(_: AssertSubscriber[int], value: int) -> None:
        if value == 1:
            thread = threading.Thread(target=subscriber.on_next, args=(2,), name="second")
            thread.start()
            thread.join()

    subscriber = AssertSubscriber[int](2, on_next=second)
    subscriber.on_subscribe(Quiet())
    subscriber.on_next(1)
    with pytest.raises(AssertionError, match=r"1\.3"):
        subscriber.assert_protocol()


def test_what_does_not_come_in_time_fails() -> None:
    with pytest.raises(AssertionError, match="3 records"):
        subscribed().await_values(3, timeout=BRIEF)
    with pytest.raises(AssertionError, match="the end"):
        subscribed().await_end(timeout=BRIEF)


@pytest.mark.parametrize("name", ["assert_complete", "assert_error"], ids=["no completion", "no error"])
def test_an_end_that_has_not_come_fails(name: str) -> None:
    with pytest.raises(AssertionError):
        getattr(subscribed(), name)()


def test_the_error_must_be_the_one_expected() -> None:
    subscriber = subscribed()
    subscriber.on_error(KeyError("lost"))
    subscriber.assert_error(KeyError, "lost")
    with pytest.raises(AssertionError):
        subscriber.assert_error(ValueError)
    with pytest.raises(AssertionError):
        subscriber.assert_error(KeyError, "found")
    with pytest.raises(AssertionError):
        subscriber.assert_not_terminated()
