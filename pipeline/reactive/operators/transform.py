"""Change or reject records one by one: what `map` and `filter` are, and several in a row are one operator."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable

from pipeline.reactive.demand import add_cap
from pipeline.reactive.flux import Flux
from pipeline.reactive.nobody import NO_EMISSION
from pipeline.reactive.operators.base import Operator, flux_of
from pipeline.reactive.subscriber import Records, Subscriber

T = TypeVar("T")
R = TypeVar("R")

Emit = Callable[[Any], object]
"""Takes a record further."""

Step = Callable[[Emit, Callable[[], object]], Emit]
"""Builds what takes a record in: it hands on what becomes of it, or calls the second to reject it."""


def transform(name: str, step: Step) -> Callable[[Observable[Any]], Flux[Any]]:
    """Make an Rx operator of a step; behind another such operator it becomes one with it.

    Args:
        name: what the user calls it.
        step: called for each subscriber, and for each batch.
    """

    def lifted(source: Observable[Any]) -> Flux[Any]:
        if isinstance(source, _Transformed):
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
        self._steps = steps
        self._first = self._chain(downstream.on_next)
        self._rejected = 0  # changed by upstream's calls only
        self._asked = 0  # and not counted as owed yet; changed by any thread
        self._lock = threading.Lock()
        self.on_next, self._received = self._receivers()

    def _receivers(self) -> tuple[Emit, Callable[[int], object]]:
        """Build what takes one record and what counts several: functions around a count they share.

        Methods around an attribute would cost a record a tenth more, in all that three steps do.
        """
        owed = 0  # by upstream

        def on_next(value: Any) -> None:
            nonlocal owed
            first = self._first
            if value is None or first is NO_EMISSION:
                self._refuse(value)
                return
            try:
                first(value)
            except Exception as error:  # noqa: BLE001 - the stream's end carries it
                self._raised(error)
            owed -= 1
            if owed <= 0:
                owed = self._settled(owed)
                self._replace(owed)

        def received(records: int) -> None:
            nonlocal owed
            owed -= records
            if owed <= 0:
                owed = self._settled(owed)
                self._replace(owed)

        return on_next, received

    def _chain(self, last: Emit) -> Emit:
        for step in reversed(self._steps):
            last = step(last, self._reject)
        return last

    def request(self, n: int) -> None:
        with self._lock:
            self._asked = add_cap(self._asked, max(n, 0))
        super().request(n)

    def on_next_batch(self, values: Records[Any]) -> None:
        if self._done:
            super().on_next_batch(values)
            return
        results: list[Any] = []
        first = self._chain(results.append)
        failure: Exception | None = None
        try:
            for value in values:
                first(value)
        except Exception as error:  # noqa: BLE001 - the stream's end carries it, behind what came before
            failure = error
        if results:
            self._downstream.on_next_batch(results)
        if failure is not None:
            self._fail(failure)
        self._received(len(values))

    def _reject(self) -> None:
        self._rejected += 1

    def _settled(self, owed: int) -> int:
        """Count what was asked for meanwhile as owed."""
        with self._lock:
            asked, self._asked = self._asked, 0
        return add_cap(owed, asked)

    def _replace(self, owed: int) -> None:
        """Ask for what was rejected, once all that was asked for has come."""
        if owed <= 0 and self._rejected:
            rejected, self._rejected = self._rejected, 0
            self.request(rejected)

    def _raised(self, error: Exception) -> None:
        if self._done:
            raise error
        self._fail(error)

    def _end(self) -> Subscriber[Any]:
        self._first = NO_EMISSION
        return super()._end()
