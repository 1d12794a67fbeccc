"""A publisher that a test drives by hand, and that breaks the chosen rules."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import ClassVar, Generic, Self, TypeVar

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive.demand import add_cap, produced, validate_request
from pipeline.reactive.flux import Flux
from pipeline.reactive.subscriber import Subscriber

T = TypeVar("T")


class Violation(Enum):
    """What a `TestPublisher` may do that no publisher must.

    Attributes:
        REQUEST_OVERFLOW: emit more than was requested (1.1); without it the subscriber gets an error.
        ALLOW_NULL: emit None (2.13); without it `next` refuses.
        CLEANUP_ON_TERMINATE: continue after the end, as if it had not been (1.7).
        DEFER_CANCELLATION: continue after a cancel, as if it had not come (1.8).
    """

    REQUEST_OVERFLOW = auto()
    ALLOW_NULL = auto()
    CLEANUP_ON_TERMINATE = auto()
    DEFER_CANCELLATION = auto()


class TestPublisher(Flux[T]):
    """A Flux whose signals the test sends; it may have any number of subscribers, each with its demand.

    Hot: a later subscriber gets what is emitted later, or the end if that has come. A cold one, see
    `create_cold`, keeps what it was given and hands it to each subscriber as that asks for it.

    Args:
        violations: the rules it does not keep.

    Example:
        >>> publisher = TestPublisher()
        >>> subscriber = AssertSubscriber(1)  # doctest: +SKIP
        >>> _ = publisher.pipe(limit_rate(8)).subscribe(subscriber)  # doctest: +SKIP
        >>> publisher.next("a").complete().assert_max_requested(8)  # doctest: +SKIP
    """

    __test__: ClassVar = False  # for pytest: it is not a test, whatever its name begins with

    def __init__(self, *violations: Violation) -> None:
        super().__init__(self._serve)
        self._violations = frozenset(violations)
        self._cold = False
        self._kept: list[T] = []
        self._subscriptions: list[_Served[T]] = []
        self._ended = False
        self._error: Exception | None = None
        self.subscribed = 0
        self.cancelled = 0
        self.overflows = 0
        self.requests: list[int] = []

    @classmethod
    def create(cls) -> TestPublisher[T]:
        """Make a hot publisher that keeps the rules."""
        return cls()

    @classmethod
    def create_noncompliant(cls, first: Violation, *rest: Violation) -> TestPublisher[T]:
        """Make a hot publisher that breaks some."""
        return cls(first, *rest)

    @classmethod
    def create_cold(cls) -> TestPublisher[T]:
        """Make one that replays all it was given to each subscriber, as that asks for it."""
        publisher = cls()
        publisher._cold = True
        return publisher

    def flux(self) -> Flux[T]:
        """The stream, which is this publisher itself."""
        return self

    # --- what the test sends -----------------------------------------------------------------------

    def next(self, *values: T) -> Self:
        """Send records one by one, to each subscriber that has asked for them.

        Raises:
            TypeError: one is None, and not on purpose.
        """
        for value in values:
            self._refuse_null(value)
            self._keep([value])
            for subscription in list(self._subscriptions):
                subscription.next(value)
        return self

    def next_batch(self, values: Sequence[T]) -> Self:
        """Send records that travel together."""
        for value in values:
            self._refuse_null(value)
        self._keep(values)
        for subscription in list(self._subscriptions):
            subscription.next_batch(values)
        return self

    def emit(self, *values: T) -> Self:
        """Send records, then complete."""
        return self.next(*values).complete()

    def complete(self) -> Self:
        """Complete the stream."""
        self._ended = True
        return self._end()

    def error(self, error: Exception) -> Self:
        """End the stream with an error."""
        self._ended, self._error = True, error
        return self._end()

    def control(self, element: object) -> Self:
        """Send a control element; it needs no demand."""
        for subscription in list(self._subscriptions):
            subscription.subscriber.on_control(element)
        return self

    # --- what the test asks -----------------------------------------------------------------------

    @property
    def requested(self) -> int:
        """What the last subscriber still wants; 0 if there is none."""
        return self._subscriptions[-1].requested if self._subscriptions else 0

    @property
    def subscribers(self) -> int:
        """How many there are now."""
        return len(self._subscriptions)

    def assert_subscribers(self, count: int | None = None) -> Self:
        """There are `count` subscribers now, or at least one."""
        found = len(self._subscriptions)
        assert found == count or (count is None and found), f"found {found} subscribers: {self!r}"
        return self

    def assert_no_subscribers(self) -> Self:
        """There is no subscriber now."""
        assert not self._subscriptions, f"expected no subscribers: {self!r}"
        return self

    def assert_was_subscribed(self) -> Self:
        """Somebody has subscribed at some time."""
        assert self.subscribed, f"expected a subscription: {self!r}"
        return self

    def assert_was_not_subscribed(self) -> Self:
        """Nobody has ever subscribed."""
        assert not self.subscribed, f"expected no subscription: {self!r}"
        return self

    def assert_was_requested(self) -> Self:
        """Somebody has asked for something."""
        assert self.requests, f"expected a request: {self!r}"
        return self

    def assert_was_not_requested(self) -> Self:
        """Nobody has asked for anything."""
        assert not self.requests, f"expected no request: {self!r}"
        return self

    def assert_cancelled(self, times: int | None = None) -> Self:
        """Subscribers have cancelled, `times` in all or at all."""
        assert self.cancelled == times or (times is None and self.cancelled), f"expected a cancel: {self!r}"
        return self

    def assert_not_cancelled(self) -> Self:
        """No subscriber has cancelled."""
        assert not self.cancelled, f"expected no cancel: {self!r}"
        return self

    def assert_min_requested(self, n: int) -> Self:
        """Each subscriber wants at least `n` now."""
        least = min((one.requested for one in self._subscriptions), default=0)
        assert least >= n, f"expected at least {n} requested, found {least}: {self!r}"
        return self

    def assert_max_requested(self, n: int) -> Self:
        """Each subscriber wants at most `n` now."""
        most = max((one.requested for one in self._subscriptions), default=0)
        assert most <= n, f"expected at most {n} requested, found {most}: {self!r}"
        return self

    def assert_request_overflow(self) -> Self:
        """More was sent than somebody had asked for."""
        assert self.overflows, f"expected an overflow: {self!r}"
        return self

    def assert_no_request_overflow(self) -> Self:
        """Never was more sent than was asked for."""
        assert not self.overflows, f"expected no overflow: {self!r}"
        return self

    def __repr__(self) -> str:
        return (
            f"TestPublisher(subscribed={self.subscribed}, cancelled={self.cancelled}, "
            f"requests={self.requests}, requested={self.requested}, overflows={self.overflows})"
        )

    # --- inside ------------------------------------------------------------------------------------

    def allows(self, violation: Violation) -> bool:
        """Whether it may break that rule."""
        return violation in self._violations

    def serves(self, subscription: _Served[T]) -> bool:
        """Whether the subscriber is one of those there are now."""
        return subscription in self._subscriptions

    def leave(self, subscription: _Served[T]) -> None:
        """Forget a subscriber; called by its subscription."""
        if self.serves(subscription):
            self._subscriptions.remove(subscription)

    def _serve(self, subscriber: Subscriber[T]) -> None:
        self.subscribed += 1
        subscription = _Served(self, subscriber, deque(self._kept) if self._cold else None)
        self._subscriptions.append(subscription)
        subscriber.on_subscribe(subscription)
        if self._ended and not self.allows(Violation.CLEANUP_ON_TERMINATE):
            subscription.end(self._error)

    def _refuse_null(self, value: T) -> None:
        if value is None and not self.allows(Violation.ALLOW_NULL):
            raise TypeError("rule 2.13: None is not a record")

    def _keep(self, values: Sequence[T]) -> None:
        if self._cold:
            self._kept.extend(values)

    def _end(self) -> Self:
        for subscription in list(self._subscriptions):
            subscription.end(self._error)
        return self


class _Served(Generic[T]):
    """One subscriber of a `TestPublisher`, what it wants and, if that is cold, what waits for it."""

    def __init__(
        self, publisher: TestPublisher[T], subscriber: Subscriber[T], waiting: deque[T] | None
    ) -> None:
        self._publisher = publisher
        self._waiting = waiting
        self._draining = False
        self._closing = False
        self._error: Exception | None = None
        self.subscriber = subscriber
        self.requested = 0

    def request(self, n: int) -> None:
        if not self._publisher.serves(self):
            return
        self._publisher.requests.append(n)
        try:
            self.requested = add_cap(self.requested, validate_request(n))
        except ValueError as error:
            self._publisher.leave(self)
            self.subscriber.on_error(error)
            return
        self._drain()

    def cancel(self) -> None:
        if not self._publisher.serves(self):
            return
        self._publisher.cancelled += 1
        if not self._publisher.allows(Violation.DEFER_CANCELLATION):
            self._publisher.leave(self)

    def next(self, value: T) -> None:
        if self._waiting is not None:
            self._waiting.append(value)
            self._drain()
        elif self._admits(1):
            self.subscriber.on_next(value)

    def next_batch(self, values: Sequence[T]) -> None:
        if self._waiting is not None:
            self._waiting.extend(values)
            self._drain()
        elif self._admits(len(values)):
            self.subscriber.on_next_batch(values)

    def end(self, error: Exception | None) -> None:
        if self._waiting:
            self._closing, self._error = True, error
            return
        if not self._publisher.allows(Violation.CLEANUP_ON_TERMINATE):
            self._publisher.leave(self)
        if error is None:
            self.subscriber.on_completed()
        else:
            self.subscriber.on_error(error)

    def _admits(self, count: int) -> bool:
        if count <= self.requested:
            self.requested = produced(self.requested, count)
            return True
        self._publisher.overflows += 1
        if self._publisher.allows(Violation.REQUEST_OVERFLOW):
            self.requested = 0
            return True
        self._publisher.leave(self)
        self.subscriber.on_error(BackpressureOverflow("the test sent a record that nobody had asked for"))
        return False

    def _drain(self) -> None:
        if self._waiting is None or self._draining:
            return
        self._draining = True
        while self._waiting and self.requested and self._publisher.serves(self):
            self.requested = produced(self.requested, 1)
            self.subscriber.on_next(self._waiting.popleft())
        self._draining = False
        if self._closing and not self._waiting:
            self._closing = False
            self.end(self._error)
