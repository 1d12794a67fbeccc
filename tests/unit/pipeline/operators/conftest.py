"""An aggregate that all tests of operators may use, and a function that fails now and then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Mean:
    """The mean so far; the accumulator is changed in place, as the contract allows."""

    def create_accumulator(self) -> list[int]:
        return [0, 0]

    def add(self, value: int, accumulator: list[int]) -> list[int]:
        accumulator[0] += value
        accumulator[1] += 1
        return accumulator

    def get_result(self, accumulator: list[int]) -> float:
        return accumulator[0] / accumulator[1]

    def merge(self, first: list[int], second: list[int]) -> list[int]:
        return [first[0] + second[0], first[1] + second[1]]


class Flaky:
    """Wraps a function so that it raises for one value of its last argument.

    Args:
        function: what to call otherwise.
        bad: the value that it cannot handle.
        failures: how often it raises before it succeeds.
    """

    def __init__(self, function: Callable[..., Any], bad: Any, failures: int = 10**9) -> None:
        self._function = function
        self._bad = bad
        self.left = failures

    def __call__(self, *arguments: Any) -> Any:
        if arguments[-1] == self._bad and self.left:
            self.left -= 1
            raise ValueError(f"bad {self._bad}")
        return self._function(*arguments)


def parity(value: int) -> int:
    return value % 2


def add(known: int, value: int) -> int:
    return known + value
