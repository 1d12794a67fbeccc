"""Every operator of `pipeline.reactive` against the rules of processors, as users and the engine call it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from reactivex import Observable

from pipeline.reactive import Flux
from pipeline.testing import AssertSubscriber
from pipeline.testing.tck import ProcessorVerification
from tests.conformance.reactive.cases import OPERATORS, Case, absorbing
from tests.conformance.reactive.paced import paced


class Operators(ProcessorVerification[int]):
    """The suite over a case that the subclass chooses."""

    __test__ = False
    TIMEOUT = timedelta(seconds=2)
    case: Case

    @pytest.fixture(autouse=True, params=OPERATORS)
    def choose(self, request: pytest.FixtureRequest) -> None:
        self.case = OPERATORS[request.param]

    def create_element(self, index: int) -> int:
        return index + 1

    def create_publisher(self, elements: int) -> Flux[int]:
        if self.case.absorbs:
            return paced(absorbing(self.case.make), elements)
        return super().create_publisher(elements)

    def create_operator(self) -> Callable[[Observable[int]], Flux[int]]:
        return self.case.make()


class TestOperatorsWithSingleRecords(Operators):
    """As a user subscribes: records one by one."""

    __test__ = True


class TestOperatorsWithBatches(Operators):
    """As the engine connects: records as they travel, nothing in between that would hide a fault."""

    __test__ = True
    TAKES_BATCHES = True

    def subscribe(self, publisher: Any, subscriber: AssertSubscriber[int]) -> None:
        publisher.connect(subscriber)
