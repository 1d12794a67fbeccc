"""StepVerifier: says step by step what a stream must do, and checks it, in virtual time if wanted."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Generic, Self, TypeVar

from reactivex import Observable
from reactivex.scheduler import VirtualTimeScheduler

from pipeline.reactive.demand import UNBOUNDED
from pipeline.reactive.hooks import Hooks, listening
from pipeline.testing.assert_subscriber import LONG
from pipeline.testing.script import INSTANT, Act, Completed, Expect, Failed, Next, Player, Signal, Step, Task

T = TypeVar("T")

Factory = Callable[[], Observable[T]] | Callable[[VirtualTimeScheduler], Observable[T]]
"""Makes the stream, and uses the scheduler where an operator takes one."""


class StepVerifier(Generic[T]):
    """A script of what a stream must do. The last step returns a `Verification`, which plays it.

    Example:
        >>> from reactivex import of
        >>> _ = StepVerifier.create(of(1, 2)).expect_next(1, 2).expect_complete().verify()
    """

    def __init__(
        self, publisher: Callable[[], Observable[T]], n: int, scheduler: VirtualTimeScheduler | None
    ) -> None:
        self._publisher = publisher
        self._first_request = n
        self._scheduler = scheduler
        self._steps: list[Step] = []

    @classmethod
    def create(cls, publisher: Observable[T], n: int = UNBOUNDED) -> StepVerifier[T]:
        """Verify a stream, in real time.

        Args:
            publisher: the stream.
            n: what to request at once; 0 for nothing.
        """
        return cls(lambda: publisher, n, None)

    @classmethod
    def with_virtual_time(cls, factory: Factory[T], n: int = UNBOUNDED) -> StepVerifier[T]:
        """Verify a stream in virtual time, which passes only with the steps that say so.

        Args:
            factory: makes the stream when it is verified. It may take the scheduler as its one
                argument; the stream is also subscribed on it, as Rx operators without one expect.
            n: what to request at once; 0 for nothing.
        """
        scheduler = VirtualTimeScheduler()
        takes_scheduler = bool(inspect.signature(factory).parameters)
        arguments = (scheduler,) if takes_scheduler else ()
        return cls(lambda: factory(*arguments), n, scheduler)

    # --- steps that take signals -------------------------------------------------------------------

    def expect_subscription(self) -> Self:
        """The publisher has handed over a subscription."""
        return self._step(Act("a subscription", Player.expect_subscription))

    def expect_next(self, *values: T) -> Self:
        """Exactly these records come next."""
        return self.expect_next_sequence(values)

    def expect_next_sequence(self, values: Iterable[T]) -> Self:
        """The records of `values` come next, in that order."""
        for value in values:
            self._step(Expect(f"on_next({value!r})", lambda signal, value=value: signal == Next(value)))
        return self

    def expect_next_count(self, count: int) -> Self:
        """Expect that many records next, whatever they are."""
        return self._step(Expect(f"{count} records", _is_next, count)) if count else self

    def expect_next_matches(self, predicate: Callable[[T], bool]) -> Self:
        """One record comes next, and `predicate` holds for it."""
        return self._step(
            Expect("a matching record", lambda signal: isinstance(signal, Next) and predicate(signal.value))
        )

    def assert_next(self, assertions: Callable[[T], object]) -> Self:
        """One record comes next, and `assertions` raises nothing."""

        def check(signal: Signal) -> bool:
            if isinstance(signal, Next):
                assertions(signal.value)
                return True
            return False

        return self._step(Expect("a record", check))

    def then_consume_while(self, predicate: Callable[[T], bool]) -> Self:
        """Any number of records come next for which `predicate` holds."""
        return self._step(
            Expect("records", lambda signal: isinstance(signal, Next) and predicate(signal.value), times=None)
        )

    # --- steps that do something -------------------------------------------------------------------

    def then_request(self, n: int) -> Self:
        """Ask for `n` more."""
        return self._step(Act(f"request({n})", lambda player: player.request(n)))

    def then(self, action: Callable[[], object]) -> Self:
        """Call `action`, in the verifying thread."""
        return self._step(Task("an action", lambda _: action()))

    def then_await(self, duration: timedelta = INSTANT) -> Self:
        """Let time pass; in virtual time everything due in it happens."""
        return self._step(Task(f"{duration} to pass", lambda player: player.await_time(duration)))

    def expect_no_event(self, duration: timedelta) -> Self:
        """Nothing comes for that long."""
        return self._step(Task("no event", lambda player: player.expect_silence(duration)))

    # --- last steps --------------------------------------------------------------------------------

    def expect_complete(self) -> Verification:
        """The stream completes."""
        return self._last(Expect("on_completed()", lambda signal: isinstance(signal, Completed)))

    def expect_error(self, kind: type[Exception] = Exception) -> Verification:
        """The stream ends with an error of that kind."""
        return self.expect_error_matches(lambda error: isinstance(error, kind), kind.__name__)

    def expect_error_message(self, message: str) -> Verification:
        """The stream ends with an error that says exactly that."""
        return self.expect_error_matches(lambda error: str(error) == message, repr(message))

    def expect_error_matches(
        self, predicate: Callable[[Exception], bool], description: str = "a matching error"
    ) -> Verification:
        """The stream ends with an error for which `predicate` holds."""
        return self._last(
            Expect(
                f"on_error({description})",
                lambda signal: isinstance(signal, Failed) and predicate(signal.error),
            )
        )

    def expect_timeout(self, duration: timedelta) -> Verification:
        """The stream does not end for that long; then it is cancelled."""
        return self._last(Task(f"no end for {duration}", lambda player: player.expect_no_end(duration)))

    def then_cancel(self) -> Verification:
        """Cancel."""
        return self._last(Act("cancel()", Player.cancel))

    def verify_complete(self, timeout: timedelta = LONG) -> timedelta:
        """Verify that the stream completes after the steps so far."""
        return self.expect_complete().verify(timeout)

    def verify_error(self, kind: type[Exception] = Exception, timeout: timedelta = LONG) -> timedelta:
        """Verify that the stream ends with an error of that kind after the steps so far."""
        return self.expect_error(kind).verify(timeout)

    def _step(self, step: Step) -> Self:
        self._steps.append(step)
        return self

    def _last(self, step: Step) -> Verification:
        return Verification(self._publisher, [*self._steps, step], self._first_request, self._scheduler)


class Verification:
    """A complete script, ready to be played."""

    def __init__(
        self,
        publisher: Callable[[], Observable[Any]],
        steps: list[Step],
        first_request: int,
        scheduler: VirtualTimeScheduler | None,
    ) -> None:
        self._publisher = publisher
        self._steps = steps
        self._first_request = first_request
        self._scheduler = scheduler

    def verify(self, timeout: timedelta = LONG) -> timedelta:
        """Subscribe and play the steps; return how long it took, in virtual time if that was used.

        Args:
            timeout: in real time, for what must come by itself.

        Raises:
            AssertionError: the stream did something else.
        """
        began = self._now()
        Player(self._steps, self._first_request, self._scheduler).play(self._publisher(), timeout)
        return self._now() - began

    def verify_then_assert_that(self, timeout: timedelta = LONG) -> Assertions:
        """Verify, and return what can be asserted about signals that nobody received."""
        dropped: list[Any] = []
        errors: list[Exception] = []
        discarded: list[Any] = []
        with listening(Hooks(dropped.append, errors.append, discarded.append)):
            took = self.verify(timeout)
        return Assertions(dropped, errors, discarded, took)

    def _now(self) -> timedelta:
        if self._scheduler is not None:
            return self._scheduler.to_timedelta(self._scheduler.now - self._scheduler.to_datetime(0))
        return timedelta(seconds=time.monotonic())


class Assertions:
    """What became of signals that had no receiver, while a script was played."""

    def __init__(
        self, dropped: list[Any], dropped_errors: list[Exception], discarded: list[Any], took: timedelta
    ) -> None:
        self._dropped = dropped
        self._errors = dropped_errors
        self._discarded = discarded
        self._took = took

    def has_dropped(self, *values: Any) -> Self:
        """Each of these came after the end."""
        return self._contains("dropped", self._dropped, values)

    def has_dropped_exactly(self, *values: Any) -> Self:
        """These came after the end, and nothing else, in that order."""
        return self._equals("dropped", self._dropped, values)

    def has_not_dropped_elements(self) -> Self:
        """No record came after the end."""
        return self._equals("dropped", self._dropped, ())

    def has_dropped_errors(self, count: int | None = None) -> Self:
        """Errors occurred that no subscriber could receive: `count`, or at least one."""
        found = len(self._errors)
        assert found == count or (count is None and found), f"expected dropped errors, found {self._errors!r}"
        return self

    def has_dropped_error_of_type(self, kind: type[Exception]) -> Self:
        """One error was dropped, of that kind."""
        assert [isinstance(error, kind) for error in self._errors] == [True], (
            f"dropped errors: {self._errors!r}"
        )
        return self

    def has_dropped_error_with_message(self, message: str) -> Self:
        """One error was dropped, which says exactly that."""
        assert [str(error) for error in self._errors] == [message], f"dropped errors: {self._errors!r}"
        return self

    def has_not_dropped_errors(self) -> Self:
        """No error was dropped."""
        return self._equals("dropped errors", self._errors, ())

    def has_discarded(self, *values: Any) -> Self:
        """Each of these was given up by an operator."""
        return self._contains("discarded", self._discarded, values)

    def has_discarded_exactly(self, *values: Any) -> Self:
        """These were given up by an operator, and nothing else, in that order."""
        return self._equals("discarded", self._discarded, values)

    def has_not_discarded_elements(self) -> Self:
        """No operator discarded a record."""
        return self._equals("discarded", self._discarded, ())

    def took_less_than(self, duration: timedelta) -> Self:
        """It took less than that."""
        assert self._took < duration, f"expected less than {duration}, took {self._took}"
        return self

    def _contains(self, what: str, found: list[Any], values: tuple[Any, ...]) -> Self:
        assert all(value in found for value in values), f"expected {what}: {values!r}, found {found!r}"
        return self

    def _equals(self, what: str, found: list[Any], values: tuple[Any, ...]) -> Self:
        assert found == list(values), f"expected exactly {what}: {list(values)!r}, found {found!r}"
        return self


def _is_next(signal: Signal) -> bool:
    return isinstance(signal, Next)
