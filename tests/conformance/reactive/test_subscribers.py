"""The subscribers that ship, against the rules of subscribers."""

from __future__ import annotations

from typing import Any

from pipeline.reactive import BaseSubscriber, Flux
from pipeline.testing import AssertSubscriber
from pipeline.testing.tck import SubscriberBlackboxVerification, SubscriberWhiteboxVerification


class Numbers:
    def create_element(self, index: int) -> int:
        return index + 1


class Quiet(BaseSubscriber[int]):
    """Receives errors and ignores them."""

    def hook_on_error(self, error: Exception) -> None: ...


class TestBaseSubscriber(Numbers, SubscriberBlackboxVerification[int]):
    def create_subscriber(self) -> BaseSubscriber[int]:
        return Quiet()


class TestAssertSubscriber(Numbers, SubscriberBlackboxVerification[int]):
    def create_subscriber(self) -> AssertSubscriber[int]:
        return AssertSubscriber()


class TestWhatStandsBetweenAFluxAndAForeignSubscriber(Numbers, SubscriberWhiteboxVerification[int]):
    def create_probed_subscriber(self, probe: AssertSubscriber[int]) -> Any:
        connected: list[Any] = []
        Flux[int](connected.append).subscribe(probe)
        return connected[0]
