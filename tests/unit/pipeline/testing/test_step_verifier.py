"""StepVerifier: passes what fits its script and fails what does not, with both in the message."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import reactivex
from reactivex import operators as ops

from pipeline.reactive import Flux, hooks
from pipeline.testing import StepVerifier, TestPublisher, Violation
from pipeline.testing.step_verifier import Verification

SECOND = timedelta(seconds=1)
BRIEF = timedelta(milliseconds=5)


def cold(*values: Any) -> TestPublisher[Any]:
    return TestPublisher[Any].create_cold().emit(*values)


def endless() -> Flux[int]:
    """Emits on the subscriber's thread until it is cancelled."""

    def connect(subscriber: Any) -> None:
        class Endless:
            cancelled = False
            emitted = 0

            def request(self, n: int) -> None:
                while not self.cancelled and self.emitted < n:
                    self.emitted += 1
                    subscriber.on_next(self.emitted)

            def cancel(self) -> None:
                self.cancelled = True

        subscriber.on_subscribe(Endless())

    return Flux(connect)


class TestScriptsThatFit:
    def test_records_and_completion(self) -> None:
        script = StepVerifier.create(cold(1, 2, 3, 4, 5, 6, 7)).expect_subscription().expect_next(1, 2)
        script.expect_next_count(2).expect_next_matches(lambda n: n == 5).assert_next(int)
        script.expect_next_sequence([7]).expect_complete().verify()

    def test_errors(self) -> None:
        error = ValueError("broken")
        publisher = TestPublisher[int]().error(error)
        StepVerifier.create(publisher).expect_error().verify()
        StepVerifier.create(publisher).expect_error(ValueError).verify()
        StepVerifier.create(publisher).expect_error_message("broken").verify()
        StepVerifier.create(publisher).expect_error_matches(lambda found: found is error).verify()
        StepVerifier.create(publisher).verify_error(ValueError)

    def test_demand_is_what_the_script_asks_for(self) -> None:
        publisher = TestPublisher[int].create_cold().emit(1, 2, 3)
        script = StepVerifier.create(publisher, 0).then_request(1).expect_next(1)
        script.then_request(2).expect_next(2, 3).expect_complete().verify()
        assert publisher.requests == [1, 2]

    def test_a_publisher_that_never_ends_is_cancelled_in_the_midst_of_it(self) -> None:
        """The steps run in the thread that brings the signals, or this would not come back."""
        StepVerifier.create(endless()).expect_next(1, 2, 3).then_cancel().verify()

    def test_the_test_acts_between_signals(self) -> None:
        publisher = TestPublisher[int]()
        script = StepVerifier.create(publisher).then(lambda: publisher.next(1)).expect_next(1)
        script.then(publisher.complete).expect_complete().verify()

    def test_records_are_consumed_as_long_as_they_match(self) -> None:
        StepVerifier.create(cold(1, 2, 9)).then_consume_while(lambda n: n < 5).expect_next(
            9
        ).verify_complete()

    def test_signals_of_another_thread(self) -> None:
        publisher = TestPublisher[int]()
        thread = threading.Thread(target=publisher.emit, args=(1, 2), name="emitting")
        StepVerifier.create(publisher).then(thread.start).expect_next(1, 2).verify_complete()
        thread.join()

    def test_a_plain_observable(self) -> None:
        StepVerifier.create(reactivex.of(1, 2)).expect_next(1, 2).verify_complete()

    def test_it_cancels_what_it_leaves_open(self) -> None:
        publisher = TestPublisher[int]()
        StepVerifier.create(publisher).expect_timeout(BRIEF).verify()
        publisher.assert_cancelled()


class TestVirtualTime:
    def test_a_day_passes_at_once(self) -> None:
        day = timedelta(days=1)
        took = (
            StepVerifier.with_virtual_time(lambda: reactivex.of("late").pipe(ops.delay(day)))
            .expect_no_event(day - SECOND)
            .then_await(SECOND)
            .expect_next("late")
            .verify_complete()
        )
        assert took >= day

    def test_the_factory_may_take_the_scheduler(self) -> None:
        script = StepVerifier.with_virtual_time(lambda scheduler: reactivex.timer(3, scheduler=scheduler))
        script.expect_no_event(2 * SECOND).then_await(SECOND).expect_next(0).verify_complete()

    def test_what_is_due_now_happens_without_a_step(self) -> None:
        script = StepVerifier.with_virtual_time(
            lambda scheduler: reactivex.of(1).pipe(ops.observe_on(scheduler))
        )
        script.expect_next(1).verify_complete()

    def test_an_event_too_early_fails(self) -> None:
        script = StepVerifier.with_virtual_time(lambda: reactivex.timer(1)).expect_no_event(2 * SECOND)
        with pytest.raises(AssertionError, match=r"expected no event for 0:00:02, found on_next\(0\)"):
            script.then_cancel().verify()

    def test_a_stream_that_ends_in_time_has_no_timeout(self) -> None:
        with pytest.raises(AssertionError, match="expected no end"):
            StepVerifier.with_virtual_time(lambda: reactivex.timer(1)).expect_timeout(2 * SECOND).verify()
        StepVerifier.with_virtual_time(lambda: reactivex.timer(3)).expect_timeout(2 * SECOND).verify()


FAILURES: dict[str, tuple[Callable[[], Verification], str]] = {
    "another record": (
        lambda: StepVerifier.create(cold(1)).expect_next(2).expect_complete(),
        r"expected on_next\(2\), found on_next\(1\)",
    ),
    "a record too many": (
        lambda: StepVerifier.create(cold(1, 2)).expect_next(1).expect_complete(),
        r"expected on_completed\(\), found on_next\(2\)",
    ),
    "a record too few": (
        lambda: StepVerifier.create(cold(1)).expect_next(1, 2).expect_complete(),
        r"expected on_next\(2\), found on_completed\(\)",
    ),
    "completion for an error": (lambda: StepVerifier.create(cold()).expect_error(), "found on_completed"),
    "another error": (
        lambda: StepVerifier.create(TestPublisher[int]().error(KeyError("x"))).expect_error(ValueError),
        "expected on_error.ValueError., found on_error.KeyError",
    ),
    "another message": (
        lambda: StepVerifier.create(TestPublisher[int]().error(KeyError("x"))).expect_error_message("y"),
        "expected on_error",
    ),
    "a record that does not match": (
        lambda: StepVerifier.create(cold(1)).expect_next_matches(lambda n: n == 2).expect_complete(),
        "expected a matching record",
    ),
    "a failed assertion": (
        lambda: StepVerifier.create(cold(1)).assert_next(lambda _: pytest.fail("no")).expect_complete(),
        "no",
    ),
    "more than was requested": (
        lambda: StepVerifier.create(_overflowing(), 1).expect_next(1, 2).expect_complete(),
        "expected production of at most 1 records, found 2",
    ),
    "demand of a plain Observable": (
        lambda: StepVerifier.create(reactivex.of(1)).then_request(1).expect_next(1).expect_complete(),
        "knows no demand",
    ),
    "no subscription": (
        lambda: StepVerifier.create(reactivex.of(1)).expect_subscription().then_cancel(),
        "expected a subscription",
    ),
}


def _overflowing() -> Flux[int]:
    def connect(subscriber: Any) -> None:
        class Generous:
            def request(self, n: int) -> None:
                subscriber.on_next(1)
                subscriber.on_next(2)

            def cancel(self) -> None: ...

        subscriber.on_subscribe(Generous())

    return Flux(connect)


@pytest.mark.parametrize("name", FAILURES)
def test_what_does_not_fit_fails_and_says_both(name: str) -> None:
    make, message = FAILURES[name]
    with pytest.raises((AssertionError, pytest.fail.Exception), match=message):
        make().verify()


def test_what_does_not_come_fails_by_name() -> None:
    script = StepVerifier.create(TestPublisher[int]()).expect_next(1).expect_complete()
    with pytest.raises(AssertionError, match=r"timed out .* waiting for on_next\(1\)"):
        script.verify(BRIEF)


class TestSignalsWithoutReceiver:
    def play(self, *hooked: Callable[[], object]) -> Any:
        publisher = TestPublisher[int].create_noncompliant(Violation.CLEANUP_ON_TERMINATE)
        script = StepVerifier.create(publisher)
        for action in (*hooked, publisher.complete):
            script.then(action)
        return script.expect_complete().verify_then_assert_that()

    def test_dropped_and_discarded_are_told(self) -> None:
        error = ValueError("late")
        told = self.play(
            lambda: hooks.dropped(1), lambda: hooks.dropped_error(error), lambda: hooks.discarded(2, 3)
        )
        told.has_dropped(1).has_dropped_exactly(1).has_discarded(3).has_discarded_exactly(2, 3)
        told.has_dropped_errors().has_dropped_errors(1).has_dropped_error_of_type(ValueError)
        told.has_dropped_error_with_message("late").took_less_than(timedelta(seconds=60))
        for name in ("has_not_dropped_elements", "has_not_dropped_errors", "has_not_discarded_elements"):
            with pytest.raises(AssertionError):
                getattr(told, name)()

    def test_nothing_was(self) -> None:
        told = self.play()
        told.has_not_dropped_elements().has_not_dropped_errors().has_not_discarded_elements()
        for name in ("has_dropped", "has_discarded", "has_dropped_exactly", "has_discarded_exactly"):
            with pytest.raises(AssertionError):
                getattr(told, name)(1)
        with pytest.raises(AssertionError):
            told.has_dropped_errors()
