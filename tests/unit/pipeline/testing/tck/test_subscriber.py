"""The suites for subscribers: one that keeps the rules passes both, and each planted fault is caught."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline.testing import AssertSubscriber
from pipeline.testing.tck import SubscriberBlackboxVerification, SubscriberWhiteboxVerification

BRIEF = timedelta(milliseconds=40)


class Taking:
    """Forwards everything to a probe that gets its subscription; by itself it requests what comes.

    Args:
        probe: gets the same signals; None for one without a probe.
        fault: what it does wrong.
    """

    def __init__(self, probe: AssertSubscriber[int] | None = None, fault: str = "") -> None:
        self.probe = probe
        self.fault = fault
        self.subscription: Any = None
        self.asked = False
        self.cancelled = False

    def on_subscribe(self, subscription: Any) -> None:
        if self.refuses(subscription):
            return
        if self.subscription is not None:
            old = self.subscription
            if self.fault == "changes to the second subscription":
                self.subscription = subscription
                old.cancel()
            elif self.fault != "ignores a second subscription":
                subscription.cancel()
            return
        self.subscription = subscription
        if self.probe is not None:
            self.probe.on_subscribe(self)
        elif self.fault != "never asks":
            self.request(5)

    def request(self, n: int) -> None:
        if self.fault == "never asks" or (self.fault == "forgets the second request" and self.asked):
            return
        self.asked = True
        self.subscription.request(n)

    def cancel(self) -> None:
        self.cancelled = True
        self.subscription.cancel()

    def on_next(self, value: int) -> None:
        if self.refuses(value):
            return
        if self.fault == "breaks after its cancel" and self.cancelled:
            raise RuntimeError("already closed")
        if self.fault == "breaks on a record":
            raise RuntimeError("no room")
        if self.probe is not None and not self.cancelled:
            self.probe.on_next(value)

    def on_error(self, error: Exception) -> None:
        if self.refuses(error):
            return
        self.end()
        if self.probe is not None:
            self.probe.on_error(error)

    def on_completed(self) -> None:
        self.end()
        if self.probe is not None and not self.cancelled and self.fault != "keeps the end to itself":
            self.probe.on_completed()

    def refuses(self, signal: Any) -> bool:
        """Raise for None or, with the fault, merely leave it out."""
        if signal is None and self.fault != "accepts None":
            raise TypeError("rule 2.13")
        return signal is None

    def end(self) -> None:
        if self.fault == "cancels at the end":
            self.subscription.cancel()
        if self.fault == "needs a request before the end" and not self.asked:
            raise RuntimeError("not begun")
        if self.fault == "must not be asked before the end" and self.asked:
            raise RuntimeError("records are missing")


class Blackbox(SubscriberBlackboxVerification[int]):
    __test__ = False
    fault = ""

    def create_subscriber(self) -> Any:
        return Taking(fault=self.fault)

    def create_element(self, index: int) -> int:
        return index


class Whitebox(SubscriberWhiteboxVerification[int]):
    __test__ = False
    fault = ""

    def create_probed_subscriber(self, probe: AssertSubscriber[int]) -> Any:
        return Taking(probe, self.fault)

    def create_element(self, index: int) -> int:
        return index


class TestFromOutside(Blackbox):
    __test__ = True


class TestThroughAProbe(Whitebox):
    __test__ = True


SEEN_FROM_OUTSIDE = {
    "never asks": ["spec201", "happy_path"],
    "cancels at the end": ["spec203"],
    "changes to the second subscription": ["spec205"],
    "ignores a second subscription": ["spec205"],
    "must not be asked before the end": ["with_preceding"],
    "accepts None": ["spec213"],
    "breaks on a record": ["happy_path"],
}
SEEN_THROUGH_A_PROBE = {
    **SEEN_FROM_OUTSIDE,
    "needs a request before the end": ["without_preceding"],
    "breaks after its cancel": ["spec208"],
    "forgets the second request": ["spec308"],
    "keeps the end to itself": ["whitebox_happy_path"],
}


@pytest.mark.parametrize(
    ("kind", "fault"),
    [(Blackbox, fault) for fault in SEEN_FROM_OUTSIDE]
    + [(Whitebox, fault) for fault in SEEN_THROUGH_A_PROBE],
)
def test_each_fault_is_caught_by_the_rule_it_breaks(
    kind: type[Blackbox] | type[Whitebox], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "TIMEOUT", BRIEF)
    names = [
        name
        for name in dir(kind)
        if name.startswith("test_") and any(part in name for part in SEEN_THROUGH_A_PROBE[fault])
    ]
    assert names
    for name in names:
        suite = kind()
        suite.fault = fault
        with pytest.raises((AssertionError, AttributeError, RuntimeError)):
            getattr(suite, name)()
