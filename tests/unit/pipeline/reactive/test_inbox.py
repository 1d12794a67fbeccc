"""Inbox: one input of an operator, which may be given up before it is there."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive.hooks import Hooks, listening
from pipeline.reactive.inbox import Inbox

PREFETCH = 8


class Upstream:
    """Counts what the inbox asks of it."""

    def __init__(self) -> None:
        self.requested = 0
        self.cancels = 0

    def request(self, n: int) -> None:
        self.requested += n

    def cancel(self) -> None:
        self.cancels += 1


class Raced(Inbox[Any]):
    """An inbox in which something happens on another thread right after a mark is set.

    Args:
        mark: the attribute that is the mark.
        then: what happens.
    """

    def __init__(self, mark: str, then: Any) -> None:
        self._mark = ""
        super().__init__(PREFETCH, lambda: None)
        self._then = then
        self._mark = mark

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == self._mark:
            self._mark = ""
            self._then(self)


def inbox() -> Inbox[Any]:
    return Inbox[Any](PREFETCH, lambda: None)


def test_it_asks_for_what_it_can_hold() -> None:
    upstream = Upstream()
    inbox().on_subscribe(upstream)
    assert (upstream.requested, upstream.cancels) == (PREFETCH, 0)


def test_a_cancel_stops_upstream() -> None:
    upstream, given_up = Upstream(), inbox()
    given_up.on_subscribe(upstream)
    given_up.cancel()
    given_up.cancel()
    assert upstream.cancels == 1


def test_a_cancel_before_the_subscription_is_not_forgotten() -> None:
    """A merge that has ended may be handed one more input: nothing must be read from it."""
    upstream, given_up = Upstream(), inbox()
    given_up.cancel()
    given_up.on_subscribe(upstream)
    assert (upstream.requested, upstream.cancels) == (0, 1)
    dropped: list[Any] = []
    with listening(Hooks(dropped=dropped.append)):
        given_up.on_next(1)
        given_up.on_next_batch([2, 3])
    assert dropped == [1, 2, 3]
    assert given_up.buffered == 0


@pytest.mark.parametrize("mark", ["_closed", "_cancelled"])
def test_a_subscription_amid_a_cancel_is_cancelled(mark: str) -> None:
    """Whichever is later sees the other's mark."""
    upstream = Upstream()
    Raced(mark, lambda raced: raced.on_subscribe(upstream)).cancel()
    assert upstream.cancels >= 1


def test_a_cancel_amid_a_subscription_is_seen() -> None:
    upstream = Upstream()
    Raced("_subscription", lambda raced: raced.cancel()).on_subscribe(upstream)
    assert upstream.cancels >= 1
    assert upstream.requested == 0


def test_a_second_subscription_is_refused() -> None:
    """Rule 2.5: the first continues."""
    first, second, input_ = Upstream(), Upstream(), inbox()
    input_.on_subscribe(first)
    input_.on_subscribe(second)
    assert (first.cancels, second.cancels, second.requested) == (0, 1, 0)


def test_what_was_not_asked_for_ends_the_input() -> None:
    """Rule 1.1: memory stays bounded, and upstream is stopped."""
    upstream, input_ = Upstream(), inbox()
    input_.on_subscribe(upstream)
    discarded: list[Any] = []
    with listening(Hooks(discarded=discarded.append)):
        input_.on_next_batch([0] * PREFETCH)
        input_.on_next("too much")
    assert isinstance(input_.error, BackpressureOverflow)
    assert (upstream.cancels, discarded, input_.buffered) == (1, ["too much"], PREFETCH)


def test_a_subscriber_that_had_its_end_cancels_nothing() -> None:
    """Rule 2.3 and 1.12: there is no stream left to cancel."""
    upstream, input_ = Upstream(), inbox()
    input_.on_subscribe(upstream)
    input_.on_completed()
    input_.cancel()
    assert upstream.cancels == 0
