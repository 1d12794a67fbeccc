"""What all sinks have in common: signals one at a time, and an end after which there are none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pipeline.core.errors import BackpressureOverflow
from pipeline.reactive import hooks
from pipeline.reactive.flux import Flux
from pipeline.reactive.sinks.emit import EmissionError, EmitFailureHandler, EmitResult, fail_fast
from pipeline.reactive.subscriber import Subscriber, refuse_null

T = TypeVar("T")


class Sink(Generic[T]):
    """Accepts signals from its callers and passes them to the subscribers of `flux`.

    The `try_` methods say what became of the signal and leave the rest to the caller; the others ask
    a handler and then do what is usual. A thread that emits from within `on_next` may do so.
    """

    def __init__(self) -> None:
        self._emitting = threading.RLock()
        self._ending: tuple[Exception | None] | None = None  # set at once: ended, and how
        self.flux: Flux[T] = Flux(self._serve)

    # --- for the one that emits: any thread, but one at a time ------------------------------------

    def try_emit_next(self, value: T) -> EmitResult:
        """Emit a record.

        Raises:
            TypeError: it is None (rule 2.13).
        """
        refuse_null(value, "try_emit_next")
        return self._serialized(lambda: self._next(value))

    def try_emit_complete(self) -> EmitResult:
        """Complete the stream, after the records that have been emitted."""
        return self._serialized(lambda: self._terminate(None))

    def try_emit_error(self, error: Exception) -> EmitResult:
        """End the stream with an error, after the records that have been emitted."""
        refuse_null(error, "try_emit_error")
        return self._serialized(lambda: self._terminate(error))

    def emit_next(self, value: T, handler: EmitFailureHandler = fail_fast) -> None:
        """Emit a record; one that overflows ends the stream with an error.

        Raises:
            EmissionError: another thread emits, and `handler` gave up.
        """
        result = _until_given_up(lambda: self.try_emit_next(value), handler)
        if result is EmitResult.FAIL_NON_SERIALIZED:
            raise EmissionError(result)
        if result is EmitResult.FAIL_TERMINATED:
            hooks.dropped(value)
        elif result is EmitResult.FAIL_CANCELLED:
            hooks.discarded(value)
        elif result is EmitResult.FAIL_OVERFLOW:
            hooks.discarded(value)
            self.emit_error(BackpressureOverflow("the sink has no room for more records"), handler)

    def emit_complete(self, handler: EmitFailureHandler = fail_fast) -> None:
        """Complete the stream; does nothing if it has ended already.

        Raises:
            EmissionError: another thread emits, and `handler` gave up.
        """
        result = _until_given_up(self.try_emit_complete, handler)
        if result is EmitResult.FAIL_NON_SERIALIZED:
            raise EmissionError(result)

    def emit_error(self, error: Exception, handler: EmitFailureHandler = fail_fast) -> None:
        """End the stream with an error; one that comes too late is dropped.

        Raises:
            EmissionError: another thread emits, and `handler` gave up.
        """
        result = _until_given_up(lambda: self.try_emit_error(error), handler)
        if result is EmitResult.FAIL_NON_SERIALIZED:
            raise EmissionError(result)
        if result is EmitResult.FAIL_TERMINATED:
            hooks.dropped_error(error)

    @property
    def subscribers(self) -> int:
        """How many there are now."""
        raise NotImplementedError

    # --- what a sink is ---------------------------------------------------------------------------

    def _serve(self, subscriber: Subscriber[T]) -> None:
        """Take a subscriber on."""
        raise NotImplementedError

    def _next(self, value: T) -> EmitResult:
        """Take a record in; never called at the same time as itself, nor after the end."""
        raise NotImplementedError

    def _end(self, error: Exception | None) -> EmitResult:
        """End the stream; called once, and not at the same time as `_next`."""
        raise NotImplementedError

    def _terminate(self, error: Exception | None) -> EmitResult:
        self._ending = (error,)
        return self._end(error)

    def _serialized(self, emit: Callable[[], EmitResult]) -> EmitResult:
        if not self._emitting.acquire(blocking=False):
            return EmitResult.FAIL_NON_SERIALIZED
        try:
            return emit() if self._ending is None else EmitResult.FAIL_TERMINATED
        finally:
            self._emitting.release()


def _until_given_up(emit: Callable[[], EmitResult], handler: EmitFailureHandler) -> EmitResult:
    while not (result := emit()).is_success and handler(result):
        pass
    return result
