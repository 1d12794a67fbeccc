"""When a request or a cancel from within `on_subscribe` reaches the publisher: after it, or at once."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.reactive import Flux, from_iterable
from tests.unit.pipeline.reactive.conftest import FullProbe


class Opening(FullProbe):
    """Does something in the midst of `on_subscribe`, and notes whether that was over when it showed."""

    def __init__(self, call: str, *arguments: int) -> None:
        super().__init__()
        self.call = call
        self.arguments = arguments
        self.open = False
        self.open_at_signal: bool | None = None

    def on_subscribe(self, subscription: Any) -> None:
        super().on_subscribe(subscription)
        getattr(subscription, self.call)(*self.arguments)
        self.open = True

    def on_next(self, value: Any) -> None:
        self.open_at_signal = self.open


class Cancelled:
    """A subscription that notes whether its subscriber was ready when it cancelled."""

    def __init__(self, subscriber: Opening) -> None:
        self.subscriber = subscriber

    def request(self, n: int) -> None: ...

    def cancel(self) -> None:
        self.subscriber.open_at_signal = self.subscriber.open


def cancelling(subscriber: Opening) -> Flux[int]:
    return Flux(lambda downstream: downstream.on_subscribe(Cancelled(subscriber)))


def test_a_foreign_subscriber_gets_nothing_before_it_is_ready() -> None:
    """Reactor: StrictSubscriberTest.requestDelayed"""
    subscriber = Opening("request", 1)
    from_iterable([1]).subscribe(subscriber)
    assert subscriber.open_at_signal is True


def test_its_cancel_waits_until_it_is_ready() -> None:
    """Reactor: StrictSubscriberTest.cancelDelayed"""
    subscriber = Opening("cancel")
    cancelling(subscriber).subscribe(subscriber)
    assert subscriber.open_at_signal is True


def test_one_of_ours_is_connected_without_delay() -> None:
    """Reactor: StrictSubscriberTest.requestNotDelayed"""
    subscriber = Opening("request", 1)
    from_iterable([1]).connect(subscriber)
    assert subscriber.open_at_signal is False


def test_so_is_its_cancel() -> None:
    """Reactor: StrictSubscriberTest.cancelNotDelayed"""
    subscriber = Opening("cancel")
    cancelling(subscriber).connect(subscriber)
    assert subscriber.open_at_signal is False


def test_what_was_asked_for_is_asked_for_although_on_subscribe_fails() -> None:
    """The publisher gets the request in any case; the failure goes to the caller."""

    class Failing(Opening):
        def on_subscribe(self, subscription: Any) -> None:
            super().on_subscribe(subscription)
            raise RuntimeError("of the test")

    subscriber = Failing("cancel")
    with pytest.raises(RuntimeError, match="of the test"):
        cancelling(subscriber).subscribe(subscriber)
    assert subscriber.open_at_signal is True
