"""A stream that a function makes one record at a time, from a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from pipeline.reactive import hooks
from pipeline.reactive.emission import Emission
from pipeline.reactive.flux import Flux
from pipeline.reactive.subscriber import Subscriber, refuse_null

T = TypeVar("T")
S = TypeVar("S")
T_contra = TypeVar("T_contra", contravariant=True)


class SynchronousSink(Protocol[T_contra]):
    """Takes at most one record and at most one end for each call of the generator."""

    def next(self, value: T_contra) -> None: ...
    def error(self, error: Exception) -> None: ...
    def complete(self) -> None: ...


def generate(
    initial: Callable[[], S],
    generator: Callable[[S, SynchronousSink[T]], S],
    on_state: Callable[[S], object] | None = None,
) -> Flux[T]:
    """Make a stream by calling `generator` once for each requested record.

    Args:
        initial: makes the state of each subscriber.
        generator: called with the state and a sink; emits one record, or an end, or both in this order,
            and returns the next state. Giving nothing, or two records, ends the stream with an error.
        on_state: called with the last state, at any end.

    Example:
        >>> def count(n, sink):
        ...     sink.next(n)
        ...     if n == 3:
        ...         sink.complete()
        ...     return n + 1
        >>> generate(lambda: 1, count).subscribe(print).dispose()
        1
        2
        3
    """
    return Flux(lambda subscriber: _Generation(subscriber, generator, on_state).begin(initial))


class _Generation(Emission[T], Generic[T, S]):
    def __init__(
        self,
        downstream: Subscriber[T],
        generator: Callable[[S, SynchronousSink[T]], S],
        on_state: Callable[[S], object] | None,
    ) -> None:
        super().__init__(downstream)
        self._generator = generator
        self._on_state = on_state
        self._states: list[S] = []  # the one that there is, if it is there
        self._given: list[T] = []
        self._ended = False
        self._failure: Exception | None = None

    def begin(self, initial: Callable[[], S]) -> None:
        try:
            self._states = [initial()]
        except Exception as error:  # noqa: BLE001 - the stream's end carries it
            self._failure = error
        self._downstream.on_subscribe(self)
        if not self._states and self._failure is not None:
            self._end().on_error(self._failure)

    # --- the sink ----------------------------------------------------------------------------------

    def next(self, value: T) -> None:
        refuse_null(value, "next")
        if self._given or self._ended:
            raise RuntimeError("a generator emits one record for each call, before the end")
        self._given.append(value)

    def error(self, error: Exception) -> None:
        refuse_null(error, "error")
        self._failure = error
        self._ended = True

    def complete(self) -> None:
        self._ended = True

    # --- in a turn -----------------------------------------------------------------------------------

    def _emit(self, downstream: Subscriber[T]) -> None:
        while self._demand.left > 0 and not self.done:
            self._states[0] = self._generator(self._states[0], self)
            given, self._given = self._given, []
            if not given and not self._ended:
                raise RuntimeError("the generator emitted neither a record nor an end")
            for value in given:
                self._demand.produced()
                downstream.on_next(value)
            if self._ended:
                self._finish()

    def _finish(self) -> None:
        downstream = self._end()
        if self._failure is None:
            downstream.on_completed()
        else:
            downstream.on_error(self._failure)

    def _clear(self) -> None:
        states, self._states = self._states, []
        for state in states:
            self._let_go(state)

    def _let_go(self, state: Any) -> None:
        if self._on_state is not None:
            try:
                self._on_state(state)
            except Exception as error:  # noqa: BLE001 - no stream is left to carry it
                hooks.dropped_error(error)
