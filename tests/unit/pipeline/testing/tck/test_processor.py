"""The suite for processors catches what an operator does wrong between its two sides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from reactivex import Observable

from pipeline.reactive import Flux
from pipeline.reactive.operators.base import Operator, lift
from pipeline.testing.tck import ProcessorVerification

BRIEF = timedelta(milliseconds=40)


class Same(Operator[Any, Any]):
    """Hands each record on."""

    def on_next(self, value: Any) -> None:
        self._downstream.on_next(value)


class KeepsErrors(Same):
    def on_error(self, error: Exception) -> None: ...


class WrapsErrors(Same):
    def on_error(self, error: Exception) -> None:
        super().on_error(RuntimeError(str(error)))


class KeepsCancels(Same):
    def cancel(self) -> None:
        self._end()


class AsksForOne(Same):
    def request(self, n: int) -> None:
        super().request(min(n, 1))


class LosesARecord(Same):
    def on_next(self, value: Any) -> None:
        if value != 2:
            super().on_next(value)


class AsksForMore(Same):
    """Asks for one more than downstream wants, and has no place to keep it."""

    def request(self, n: int) -> None:
        super().request(n + 1)


class Suite(ProcessorVerification[int]):
    __test__ = False
    kind: type[Operator[Any, Any]] = Same

    def create_operator(self) -> Callable[[Observable[int]], Flux[int]]:
        return lift("same", self.kind)

    def create_element(self, index: int) -> int:
        return index + 1


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        (KeepsErrors, "spec104_must_pass_an_error"),
        (WrapsErrors, "spec104_must_pass_an_error"),
        (KeepsErrors, "after_records"),
        (KeepsCancels, "cancel_must_reach"),
        (AsksForOne, "requested_long_ago"),
        (LosesARecord, "requested_long_ago"),
        (LosesARecord, "spec102"),
        (AsksForMore, "spec101"),
    ],
)
def test_each_fault_is_caught(
    kind: type[Operator[Any, Any]], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Suite, "TIMEOUT", BRIEF)
    monkeypatch.setattr(Suite, "kind", kind)
    names = [name for name in dir(Suite) if name.startswith("test_") and part in name]
    assert names
    for name in names:
        suite = Suite()
        suite.setup_method()
        with pytest.raises(AssertionError):
            getattr(suite, name)()
