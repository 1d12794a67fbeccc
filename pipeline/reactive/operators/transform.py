"""Change or reject records one by one: what `map` and `filter` are, and several in a row are one operator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable

from pipeline.reactive.demand import add_cap
from pipeline.reactive.flux import Flux
from pipeline.reactive.operators.base import Operator, flux_of
from pipeline.reactive.operators.row import MAX_STEPS, Step, Surroundings, row
from pipeline.reactive.subscriber import Records, Subscriber

T = TypeVar("T")
R = TypeVar("R")


def transform(name: str, step: Step) -> Callable[[Observable[Any]], Flux[Any]]:
    """Return an Rx operator of a step; directly downstream of another such operator, it is merged with it.

    Args:
        name: what the user calls it.
        step: what it does with each record.
    """

    def lifted(source: Observable[Any]) -> Flux[Any]:
        if isinstance(source, _Transformed) and len(source.steps) < MAX_STEPS:
            return _Transformed(source.upstream, (*source.steps, step))
        return _Transformed(flux_of(name, source), (step,))

    return lifted


class _Transformed(Flux[Any]):
    def __init__(self, upstream: Flux[Any], steps: tuple[Step, ...]) -> None:
        super().__init__(self._through)
        self.upstream = upstream
        self.steps = steps

    def _through(self, subscriber: Subscriber[Any]) -> None:
        self.upstream.connect(_Transform(subscriber, self.steps))


class _Transform(Operator[Any, Any]):
    """Runs the steps and asks upstream to replace what they reject.

    Not at once for each: when everything that was asked for has come, what was rejected of it is
    asked for together. Until then upstream still owes records, so downstream never starves, and a
    rejected record costs no call upwards.

    An error that a step raises ends the stream. What downstream raises looks the same from here, and
    comes back to it; unless it has cancelled, as an observer does that has no use for errors.
    """

    def __init__(self, downstream: Subscriber[Any], steps: tuple[Step, ...]) -> None:
        super().__init__(downstream)
        self._asked = 0  # and not counted as owed yet; changed by any thread
        self._lock = threading.Lock()
        self._row = row(
            steps,
            Surroundings(downstream.on_next, self._refuse, self._raised, self._settled, self.request),
        )
        self.on_next = self._row.on_next

    def request(self, n: int) -> None:
        with self._lock:
            self._asked = add_cap(self._asked, max(n, 0))
        super().request(n)

    def on_next_batch(self, values: Records[Any]) -> None:
        if self._done:
            super().on_next_batch(values)
            return
        results: list[Any] = []
        rejected = 0
        failure: Exception | None = None
        try:
            rejected = self._row.change(values, results)
        except Exception as error:  # noqa: BLE001 - it ends the stream, after the records before
            failure = error
        if results:
            self._downstream.on_next_batch(results)
        if failure is not None:
            self._fail(failure)
        self._row.received(len(values), rejected)

    def _settled(self, owed: int) -> int:
        """Count what was asked for meanwhile as owed."""
        with self._lock:
            asked, self._asked = self._asked, 0
        return add_cap(owed, asked)

    def _raised(self, error: Exception) -> None:
        if self._done:
            raise error
        self._fail(error)

    def _end(self) -> Subscriber[Any]:
        self._row.let_go()
        return super()._end()
