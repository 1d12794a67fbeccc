"""Change each record by a function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable

from pipeline.reactive import hooks
from pipeline.reactive.flux import Flux
from pipeline.reactive.operators.base import NOBODY, Operator, lift
from pipeline.reactive.subscriber import Records, Subscriber, refuse_null

T = TypeVar("T")
R = TypeVar("R")


def map(function: Callable[[T], R]) -> Callable[[Observable[T]], Flux[R]]:  # noqa: A001 - the name in Rx
    """Change each record by `function`; demand passes through untouched.

    Args:
        function: what it raises ends the stream, and so does None (rule 2.13).

    Example:
        >>> from pipeline.reactive import from_iterable
        >>> from_iterable([1, 2]).pipe(map(lambda n: n * 10)).subscribe(print).dispose()
        10
        20
    """
    return lift("map", lambda downstream: _Map(downstream, function))


class _Map(Operator[T, R]):
    def __init__(self, downstream: Subscriber[R], function: Callable[[T], R]) -> None:
        super().__init__(downstream)
        self._function = function

    def on_next(self, value: T) -> None:
        refuse_null(value, "on_next")
        downstream = self._downstream
        if downstream is NOBODY:
            hooks.dropped(value)
            return
        try:
            result = self._function(value)
            refuse_null(result, "what map's function returns")
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self._fail(error)
            return
        downstream.on_next(result)

    def on_next_batch(self, values: Records[T]) -> None:
        results: list[R] = []
        failure: Exception | None = None
        try:
            results.extend(self._function(value) for value in values)
        except Exception as error:  # noqa: BLE001 - as above; what came before it is still good
            failure = error
        if results:
            self._downstream.on_next_batch(results)
        if failure is not None:
            self._fail(failure)
