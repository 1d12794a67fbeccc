"""The suites for publishers: a publisher that keeps the rules passes, and each planted fault is caught."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar
from unittest import SkipTest

import pytest

from pipeline.reactive import Flux
from pipeline.testing import AssertSubscriber
from pipeline.testing.tck import PublisherVerification

BRIEF = timedelta(milliseconds=40)


class Numbers:
    """One subscriber's share of a publisher without batches, threads or operators.

    Args:
        faults: what it does wrong.
    """

    kept: ClassVar[list[Any]] = []

    def __init__(self, subscriber: Any, elements: int, faults: str) -> None:
        self.subscriber = subscriber
        self.left = elements
        self.number = 0
        self.wanted = 0
        self.ended = False
        self.emitting = False
        self.faults = faults
        if faults == "keeps its subscribers":
            self.kept.append(subscriber)
        if faults == "a record before on_subscribe":
            subscriber.on_next(0)
        subscriber.on_subscribe(self)
        if not elements and not self.ended and faults != "an empty stream never ends":
            self.end()

    def request(self, n: int) -> None:
        if self.ended and self.faults != "serves requests after a cancel":
            if self.faults == "completes again":
                self.subscriber.on_completed()
            return
        if n <= 0:
            self.refuse(n)
            return
        if self.faults == "computes in request":
            threading.Event().wait(2 * BRIEF.total_seconds())
        self.wanted += n
        if self.faults == "demand overflows":
            self.wanted = (self.wanted + 2**63) % 2**64 - 2**63
        if self.faults == "emits one too many" and self.number == 0:
            self.wanted += 1
        if self.faults == "recurses" or not self.emitting:
            self.emit()

    def refuse(self, n: int) -> None:
        if self.faults == "raises from request":
            raise ValueError("rule 3.9")
        if self.faults == "ignores what rule 3.9 forbids":
            return
        self.ended = self.faults != "continues after a refused request"
        message = "no" if self.faults == "does not name the rule" else f"rule 3.9: {n}"
        self.subscriber.on_error(ValueError(message))

    def cancel(self) -> None:
        if self.faults == "frees twice" and self.ended:
            self.subscriber.on_error(RuntimeError("already free"))
        if self.faults == "computes in cancel":
            threading.Event().wait(2 * BRIEF.total_seconds())
        self.ended = self.faults != "continues after a cancel"
        if self.faults == "completes on a cancel":
            self.subscriber.on_completed()

    def emit(self) -> None:
        self.emitting = True
        while self.wanted > 0 and self.left and (not self.ended or self.faults.startswith("serves")):
            self.wanted -= 1
            self.left -= 1
            self.number += 1
            self.subscriber.on_next(self.number)
        self.emitting = False
        if not self.left and not self.ended and "never ends" not in self.faults:
            self.end()

    def end(self) -> None:
        self.ended = True
        self.subscriber.on_completed()


class Broken(Flux[int]):
    """A publisher with a fault; its own `subscribe` has nothing in between."""

    def __init__(self, elements: int, faults: str) -> None:
        super().__init__(self._serve)
        self.elements = elements
        self.faults = faults
        self.earliest: Numbers | None = None

    def subscribe(self, on_next: Any = None, *_: Any, **__: Any) -> Any:
        if not hasattr(on_next, "on_subscribe"):
            if self.faults == "takes anything for a subscriber":
                return
            raise TypeError("rule 1.9")
        self._serve(on_next)

    def _serve(self, subscriber: Any) -> None:
        if self.faults == "forgets the first subscriber" and self.earliest is not None:
            self.earliest.ended = True
        numbers = Numbers(subscriber, self.elements, self.faults)
        if "first" in self.faults:
            self.earliest = self.earliest or numbers


class Failing(Flux[int]):
    """Fails when it is subscribed."""

    def __init__(self, faults: str) -> None:
        super().__init__(self._serve)
        self.faults = faults

    def _serve(self, subscriber: Any) -> None:
        if self.faults == "raises from subscribe":
            raise RuntimeError("of the test")
        subscriber.on_subscribe(_Ended(self, subscriber))
        subscriber.on_error(RuntimeError("of the test"))

    def subscribe(self, on_next: Any = None, *_: Any, **__: Any) -> Any:
        self._serve(on_next)


class _Ended:
    def __init__(self, of: Failing, subscriber: Any) -> None:
        self.of = of
        self.subscriber = subscriber

    def request(self, n: int) -> None:
        if self.of.faults == "emits after an error":
            self.subscriber.on_next(1)

    def cancel(self) -> None: ...


class Suite(PublisherVerification[int]):
    """Makes publishers with a fault."""

    __test__ = False
    faults = ""

    def create_publisher(self, elements: int) -> Flux[int]:
        return Broken(elements, self.faults)

    def create_failed_publisher(self) -> Flux[int]:
        return Failing(self.faults)


class TestAPublisherThatKeepsTheRules(Suite):
    __test__ = True


def failures(suite: Suite, *names: str) -> set[str]:
    """Run tests of a suite and return which of them fail."""
    failed: set[str] = set()
    for name in names:
        suite.setup_method()
        try:
            getattr(suite, name)()
        except (AssertionError, ValueError, RuntimeError):
            failed.add(name)
    return failed


def matching(*parts: str) -> list[str]:
    names = [name for name in dir(Suite) if name.startswith("test_")]
    return [name for name in names if any(part in name for part in parts)]


CAUGHT = {
    "emits one too many": ["spec101"],
    "a record before on_subscribe": ["spec109_must_issue"],
    "an empty stream never ends": ["spec105_empty"],
    "never ends": ["create_publisher", "spec102", "spec105_must", "many_upfront_must_complete"],
    "completes again": [
        "spec106_must_consider_a_subscription_cancelled_after_on_complete",
        "spec107_must_not_emit_further_signals_once_on_complete",
    ],
    "emits after an error": ["once_on_error", "after_on_error"],
    "raises from subscribe": ["spec104"],
    "takes anything for a subscriber": ["spec109_subscribe"],
    "forgets the first subscriber": ["spec111_registered", "spec111_multicast"],
    "recurses": ["spec303"],
    "computes in request": ["spec304"],
    "computes in cancel": ["spec305"],
    "serves requests after a cancel": ["spec306"],
    "frees twice": ["spec307"],
    "completes on a cancel": ["spec306", "spec307"],
    "ignores what rule 3.9 forbids": ["spec309", "spec316"],
    "continues after a refused request": ["spec309_a_refused"],
    "does not name the rule": ["spec309_the_error"],
    "raises from request": ["spec309_request", "spec316"],
    "continues after a cancel": ["spec312"],
    "keeps its subscribers": ["spec313"],
    "demand overflows": ["spec317_more", "spec317_must_not"],
}


@pytest.mark.parametrize("fault", CAUGHT)
def test_each_fault_is_caught_by_the_rule_it_breaks(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Numbers, "kept", [])
    suite = Suite()
    suite.faults = fault
    monkeypatch.setattr(Suite, "TIMEOUT", BRIEF)
    tests = matching(*CAUGHT[fault])
    assert tests
    assert failures(suite, *tests) == set(tests)


def test_a_publisher_for_one_subscriber_has_no_rules_for_several() -> None:
    class Single(Suite):
        UNICAST = True

    assert [getattr(Single, name) for name in matching("spec111")] == [None] * 5
    assert all(callable(getattr(Suite, name)) for name in matching("spec111"))


def test_what_a_publisher_has_too_few_elements_for_is_skipped() -> None:
    class Short(Suite):
        MOST_ELEMENTS = 4

    suite = Short()
    suite.setup_method()
    for name in matching("spec303", "spec101"):
        with pytest.raises(SkipTest):
            getattr(suite, name)()


def test_whatever_a_test_leaves_running_is_cancelled() -> None:
    suite = Suite()
    suite.setup_method()
    subscriber = suite.activate(5, n=1)
    suite.teardown_method()
    assert subscriber.cancelled


def test_each_rule_says_its_intent_and_what_to_check() -> None:
    """The reader of a failure needs both."""
    tests: list[Callable[..., Any]] = [getattr(Suite, name) for name in matching("test_")]
    assert all("Intent: " in (test.__doc__ or "") and "Check " in (test.__doc__ or "") for test in tests)


def test_subscribers_take_batches_where_the_suite_says_so() -> None:
    class Batches(Suite):
        TAKES_BATCHES = True

    assert type(Suite().subscriber()) is AssertSubscriber
    assert hasattr(Batches().subscriber(), "on_next_batch")
