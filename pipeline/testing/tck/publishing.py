"""What the suites of publishers share: the two factories, and subscribers that are cancelled at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar, Final, Generic, TypeVar
from unittest import SkipTest

from reactivex import Observable

from pipeline.reactive.demand import UNBOUNDED
from pipeline.testing.assert_subscriber import AssertBatchSubscriber, AssertSubscriber

T = TypeVar("T")

ENDLESS: Final = UNBOUNDED
"""The number of elements that asks for a stream which does not end while a test looks at it."""


class PublisherRules(ABC, Generic[T]):
    """Two factories and some knobs.

    Attributes:
        TIMEOUT: what must come, comes within it.
        QUIET: what has not come after this long is taken not to come; zero will do for a publisher
            that emits in the thread that asks.
        MOST_ELEMENTS: how many a finite stream can have; tests that need more are skipped.
        RECURSION: how deep `on_next` may recurse when it requests more (3.3).
        UNICAST: whether one stream serves one subscriber only, and refuses all others (1.9); then
            the tests of rule 1.11 are not there.
        TAKES_BATCHES: whether the suite's subscribers take records as they travel.
    """

    TIMEOUT: ClassVar = timedelta(seconds=5)
    QUIET: ClassVar = timedelta(0)
    MOST_ELEMENTS: ClassVar[int] = ENDLESS
    RECURSION: ClassVar[int] = 1
    UNICAST: ClassVar[bool] = False
    TAKES_BATCHES: ClassVar[bool] = False

    @abstractmethod
    def create_publisher(self, elements: int) -> Observable[T]:
        """Make a stream of exactly that many records; `ENDLESS` must not end while a test looks."""

    @abstractmethod
    def create_failed_publisher(self) -> Observable[T]:
        """Make a stream that ends with an error as soon as it is subscribed, or raise `SkipTest`."""

    def subscribe(self, publisher: Observable[T], subscriber: AssertSubscriber[T]) -> None:
        """Subscribe; override to go another way than users do."""
        publisher.subscribe(subscriber)  # pyright: ignore[reportArgumentType] - a subscriber is an observer

    # --- for the tests -------------------------------------------------------------------------------

    def setup_method(self) -> None:
        """Begin with no subscriber."""
        self._subscribed: list[AssertSubscriber[T]] = []

    def teardown_method(self) -> None:
        """Cancel whatever a test has left running."""
        for subscriber in self._subscribed:
            subscriber.cancel()

    def publisher(self, elements: int) -> Observable[T]:
        """Make a stream, or skip the test if there is none so long."""
        if elements > self.MOST_ELEMENTS:
            raise SkipTest(f"it has at most {self.MOST_ELEMENTS} elements")
        return self.create_publisher(elements)

    def subscriber(
        self, n: int = 0, on_next: Callable[[AssertSubscriber[T], T], object] | None = None
    ) -> AssertSubscriber[T]:
        """Make a subscriber that asks for `n` when it is subscribed."""
        return AssertBatchSubscriber[T](n, on_next) if self.TAKES_BATCHES else AssertSubscriber[T](n, on_next)

    def attach(self, publisher: Observable[T], subscriber: AssertSubscriber[T]) -> AssertSubscriber[T]:
        """Subscribe and wait for the subscription."""
        self._subscribed.append(subscriber)
        self.subscribe(publisher, subscriber)
        return subscriber.await_subscription(self.TIMEOUT)

    def activate(
        self,
        elements: int,
        n: int = 0,
        on_next: Callable[[AssertSubscriber[T], T], object] | None = None,
    ) -> AssertSubscriber[T]:
        """Return a subscriber of a new stream."""
        return self.attach(self.publisher(elements), self.subscriber(n, on_next))

    def activate_failed(self, n: int = 0) -> AssertSubscriber[T]:
        """Return a subscriber of a stream that fails."""
        return self.attach(self.create_failed_publisher(), self.subscriber(n))

    def settle(self, *subscribers: AssertSubscriber[T]) -> None:
        """Wait until nothing comes any more, and look at the protocol."""
        for subscriber in subscribers:
            subscriber.await_silence(self.QUIET)
            subscriber.assert_protocol()
