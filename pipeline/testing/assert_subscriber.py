"""A subscriber for tests: it requests what the test wants, records its signals, and asserts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Generic, Self, TypeVar

from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.subscriber import Records, Subscription, refuse_null

T = TypeVar("T")

LONG = timedelta(seconds=10)
"""For what must come by itself; waited for in full only if it does not."""


class AssertSubscriber(Generic[T]):
    """Takes single records and notices when its publisher breaks the protocol.

    Its signals are in `values`, `errors` and `completions`; what must not have happened in
    `violations`, which every assertion looks at first.

    Args:
        initial_request: what it asks for when it is subscribed; 0 for nothing.
        on_next: called with this subscriber and each record, such as to ask for more or to cancel.

    Example:
        >>> subscriber = AssertSubscriber(2)
        >>> _ = from_iterable("abc").subscribe(subscriber)  # doctest: +SKIP
        >>> subscriber.assert_values("a", "b").assert_not_terminated()  # doctest: +SKIP
    """

    def __init__(
        self,
        initial_request: int = UNBOUNDED,
        on_next: Callable[[AssertSubscriber[T], T], object] | None = None,
    ) -> None:
        self._initial_request = initial_request
        self._react = on_next
        self._subscription: Subscription | None = None
        self._changed = threading.Condition(threading.RLock())
        self._signals = _Signals()
        self.requested = 0
        self.cancelled = False
        self.values: list[T] = []
        self.errors: list[Exception] = []
        self.completions = 0
        self.violations: list[str] = []

    # --- the subscriber --------------------------------------------------------------------------

    def on_subscribe(self, subscription: Subscription) -> None:
        refuse_null(subscription, "on_subscribe")
        if self._subscription is not None:
            self.violations.append("rule 2.12: on_subscribe was called twice")
            subscription.cancel()
            return
        with self._changed:
            self._subscription = subscription
            self._changed.notify_all()
        if self._initial_request:
            self.request(self._initial_request)

    def on_next(self, value: T) -> None:
        refuse_null(value, "on_next")
        self._enter("on_next")
        try:
            with self._changed:
                self.values.append(value)
                if len(self.values) > self.requested:
                    self.violations.append(f"rule 1.1: {value!r} came, {self.requested} were requested")
                self._changed.notify_all()
            if self._react is not None:
                self._react(self, value)
        finally:
            self._signals.leave()

    def on_error(self, error: Exception) -> None:
        refuse_null(error, "on_error")
        self._end("on_error", lambda: self.errors.append(error))

    def on_completed(self) -> None:
        self._end("on_completed", self._complete)

    def _complete(self) -> None:
        self.completions += 1

    def _end(self, signal: str, note: Callable[[], object]) -> None:
        self._enter(signal)
        with self._changed:
            note()
            self._changed.notify_all()
        self._signals.leave()

    def _enter(self, signal: str) -> None:
        if not self._signals.enter():
            self.violations.append(f"rule 1.3: {signal} came while another signal was being received")
        if self._subscription is None:
            self.violations.append(f"rule 1.9: {signal} came before on_subscribe")
        if self.terminated:
            self.violations.append(f"rule 1.7: {signal} came after the end")

    # --- the test ----------------------------------------------------------------------------------

    @property
    def subscription(self) -> Subscription:
        """The subscription; asserts that there is one."""
        assert self._subscription is not None, "it was not subscribed"
        return self._subscription

    @property
    def depth(self) -> int:
        """How many signals were received inside one another at most."""
        return self._signals.depth

    @property
    def terminated(self) -> bool:
        """Whether the end has come."""
        return bool(self.errors) or self.completions > 0

    def request(self, n: int) -> Self:
        """Ask for `n` more records; what rule 3.9 forbids is asked for as well, and not counted."""
        with self._changed:  # requests of two threads at once both count
            self.requested += max(n, 0)
        self.subscription.request(n)
        return self

    def cancel(self) -> Self:
        """Want nothing more."""
        self.cancelled = True
        self.subscription.cancel()
        return self

    def await_subscription(self, timeout: timedelta = LONG) -> Self:
        """Wait until it has been subscribed."""
        self._await(lambda: self._subscription is not None, "the subscription", timeout)
        return self

    def await_values(self, count: int, timeout: timedelta = LONG) -> Self:
        """Wait until `count` records have come, from whatever thread."""
        self._await(lambda: len(self.values) >= count, f"{count} records", timeout)
        return self

    def await_end(self, timeout: timedelta = LONG) -> Self:
        """Wait for the end of the stream."""
        self._await(lambda: self.terminated, "the end", timeout)
        return self

    def await_silence(self, quiet: timedelta) -> Self:
        """Return when nothing has come for `quiet`; not at all for a stream that never stops."""
        with self._changed:
            heard = self._heard
            while self._changed.wait_for(lambda: self._heard != heard, quiet.total_seconds()):  # noqa: B023
                heard = self._heard
        return self

    @property
    def _heard(self) -> int:
        return len(self.values) + len(self.errors) + self.completions

    def _await(self, come: Callable[[], bool], what: str, timeout: timedelta) -> None:
        with self._changed:
            assert self._changed.wait_for(come, timeout.total_seconds()), (
                f"{what} did not come within {timeout}: {self!r}"
            )

    # --- assertions --------------------------------------------------------------------------------

    def assert_values(self, *expected: T) -> Self:
        """Exactly these records have come so far."""
        self.assert_protocol()
        assert self.values == list(expected), f"expected {list(expected)!r}: {self!r}"
        return self

    def assert_value_count(self, count: int) -> Self:
        """Assert that this many records have arrived so far."""
        self.assert_protocol()
        assert len(self.values) == count, f"expected {count} records, found {len(self.values)}: {self!r}"
        return self

    def assert_no_values(self) -> Self:
        """No record has come so far."""
        return self.assert_value_count(0)

    def assert_complete(self) -> Self:
        """The stream has completed, once."""
        self.assert_protocol()
        assert self.completions == 1, f"expected completion: {self!r}"
        return self

    def assert_error(self, kind: type[Exception] = Exception, match: str = "") -> Self:
        """The stream has ended with an error of that kind, whose message contains `match`."""
        self.assert_protocol()
        assert len(self.errors) == 1, f"expected an error: {self!r}"
        assert isinstance(self.errors[0], kind), f"expected {kind.__name__}: {self!r}"
        assert match in str(self.errors[0]), f"expected {match!r} in the message: {self!r}"
        return self

    def assert_not_terminated(self) -> Self:
        """Neither completion nor an error has come."""
        self.assert_protocol()
        assert not self.terminated, f"expected no end yet: {self!r}"
        return self

    def assert_protocol(self) -> Self:
        """The publisher has kept the rules so far."""
        assert not self.violations, f"{self.violations}: {self!r}"
        return self

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self.values[:20])) + (", …" if len(self.values) > 20 else "")
        return (
            f"AssertSubscriber(heard {len(self.values)} of {self.requested}: [{shown}], "
            f"errors={self.errors!r}, completions={self.completions})"
        )


class AssertBatchSubscriber(AssertSubscriber[T]):
    """The same, but takes records as they travel: `batches` has those that came together.

    It offers the whole protocol, so that it can be connected without a wrapper in between.
    """

    def __init__(
        self,
        initial_request: int = UNBOUNDED,
        on_next: Callable[[AssertSubscriber[T], T], object] | None = None,
    ) -> None:
        super().__init__(initial_request, on_next)
        self.batches: list[list[T]] = []
        self.controls: list[object] = []

    def on_next_batch(self, values: Records[T]) -> None:
        self.batches.append(list(values))
        if not len(values):
            self.violations.append("an empty batch came")
        for value in values:
            if not self.cancelled:
                self.on_next(value)

    def on_control(self, element: object) -> None:
        self.controls.append(element)


class _Signals:
    """Which thread is receiving a signal, and how many inside one another.

    Attributes:
        depth: how many at most.
    """

    def __init__(self) -> None:
        self.depth = 0
        self._inside = 0
        self._thread = 0

    def enter(self) -> bool:
        """Begin with a signal; False if another thread is in the midst of one."""
        thread = threading.get_ident()
        alone = not self._inside or self._thread == thread
        self._thread = thread
        self._inside += 1
        self.depth = max(self.depth, self._inside)
        return alone

    def leave(self) -> None:
        """End with it."""
        self._inside -= 1
