"""BaseSubscriber: hooks that may fail, around a subscription that ends once."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.reactive import BaseSubscriber, SignalType, from_iterable
from pipeline.reactive.hooks import Hooks, listening
from pipeline.testing import TestPublisher, Violation


class Recording(BaseSubscriber[int]):
    """Notes which hooks are called.

    Args:
        first: what it asks for at once.
        failing: the hooks that raise.
    """

    def __init__(self, first: int = 10, failing: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.first = first
        self.failing = failing
        self.called: list[Any] = []
        self.values: list[int] = []

    def note(self, hook: str, *detail: Any) -> None:
        self.called.append((hook, *detail) if detail else hook)
        if hook in self.failing:
            raise RuntimeError(f"{hook} failed")

    def hook_on_subscribe(self) -> None:
        self.note("subscribe")
        self.request(self.first)

    def hook_on_next(self, value: int) -> None:
        self.values.append(value)
        self.note("next")

    def hook_on_complete(self) -> None:
        self.note("complete")

    def hook_on_error(self, error: Exception) -> None:
        self.note("error", str(error))

    def hook_on_cancel(self) -> None:
        self.note("cancel")

    def hook_finally(self, signal: SignalType) -> None:
        self.note("finally", signal)


def test_it_asks_for_what_it_likes_and_leaves() -> None:
    """Reactor: BaseSubscriberTest.partialRequestAndCancel"""

    class ThreeThenLeave(Recording):
        def hook_on_next(self, value: int) -> None:
            super().hook_on_next(value)
            if value == 3:
                self.cancel()
            else:
                self.request(1)

    subscriber = ThreeThenLeave(first=1)
    publisher = TestPublisher[int].create_cold().emit(1, 2, 3, 4, 5)
    publisher.subscribe(subscriber)
    assert subscriber.values == [1, 2, 3]
    assert subscriber.called[-2:] == ["cancel", ("finally", SignalType.CANCEL)]
    assert publisher.requests == [1, 1, 1]
    publisher.assert_cancelled(1)


def test_by_default_it_asks_for_everything() -> None:
    publisher = TestPublisher[int]()
    publisher.subscribe(BaseSubscriber[int]())
    publisher.emit(1, 2, 3).assert_no_request_overflow()


def test_what_a_hook_raises_on_a_record_goes_to_the_hook_for_errors() -> None:
    """Reactor: BaseSubscriberTest.onNextErrorPropagatedToOnError"""
    subscriber = Recording(failing=("next",))
    publisher = TestPublisher[int]()
    publisher.subscribe(subscriber)
    publisher.next(1, 2)
    assert subscriber.values == [1]
    assert subscriber.called[-2:] == [("error", "next failed"), ("finally", SignalType.ON_ERROR)]
    publisher.assert_cancelled()


def test_what_it_raises_when_it_is_subscribed_goes_there_too() -> None:
    subscriber = Recording(failing=("subscribe",))
    from_iterable([1]).subscribe(subscriber)
    assert subscriber.called == [
        "subscribe",
        ("error", "subscribe failed"),
        ("finally", SignalType.ON_ERROR),
    ]


def test_finally_comes_although_the_hook_for_completion_fails() -> None:
    """Reactor: BaseSubscriberTest.finallyExecutesWhenHookOnCompleteFails"""
    subscriber = Recording(failing=("complete",))
    from_iterable([1]).subscribe(subscriber)
    assert subscriber.called[-2:] == [("error", "complete failed"), ("finally", SignalType.ON_COMPLETE)]


def test_finally_comes_although_the_hook_for_errors_fails() -> None:
    """Reactor: BaseSubscriberTest.finallyExecutesWhenHookOnErrorFails"""
    dropped: list[Exception] = []
    subscriber = Recording(failing=("error",))
    with listening(Hooks(dropped_error=dropped.append)):
        TestPublisher[int]().error(KeyError("lost")).subscribe(subscriber)
    assert subscriber.called[-1] == ("finally", SignalType.ON_ERROR)
    assert [str(error) for error in dropped] == ["error failed"]


def test_finally_comes_although_the_hook_for_cancelling_fails() -> None:
    """Reactor: BaseSubscriberTest.finallyExecutesWhenHookOnCancelFails"""
    subscriber = Recording(first=1, failing=("cancel",))
    publisher = TestPublisher[int]()
    publisher.subscribe(subscriber)
    subscriber.cancel()
    assert subscriber.called[-2:] == [("error", "cancel failed"), ("finally", SignalType.CANCEL)]
    publisher.assert_cancelled()


def test_a_failing_finally_is_a_dropped_error() -> None:
    dropped: list[Exception] = []
    with listening(Hooks(dropped_error=dropped.append)):
        from_iterable([1]).subscribe(Recording(failing=("finally",)))
    assert [str(error) for error in dropped] == ["finally failed"]


def test_disposing_cancels() -> None:
    """Reactor: BaseSubscriberTest.disposeCancels"""
    subscriber = Recording(first=1)
    publisher = TestPublisher[int]()
    publisher.subscribe(subscriber)
    assert not subscriber.is_disposed
    subscriber.dispose()
    subscriber.dispose()
    assert subscriber.is_disposed
    assert subscriber.called[1:] == ["cancel", ("finally", SignalType.CANCEL)]
    publisher.assert_cancelled(1)


@pytest.mark.parametrize("first", ["complete", "cancel"])
def test_what_comes_after_the_end_is_reported(first: str) -> None:
    """A publisher that continues although it must not."""
    values: list[int] = []
    errors: list[Exception] = []
    publisher = TestPublisher[int](Violation.CLEANUP_ON_TERMINATE, Violation.DEFER_CANCELLATION)
    subscriber = Recording()
    publisher.connect(subscriber)  # pyright: ignore[reportArgumentType] - no batches come
    if first == "complete":
        publisher.complete()
    else:
        subscriber.cancel()
    called = list(subscriber.called)
    with listening(Hooks(dropped=values.append, dropped_error=errors.append)):
        publisher.next(1).complete().error(KeyError("late"))
    assert subscriber.called == called
    assert values == [1]
    assert len(errors) == 1
